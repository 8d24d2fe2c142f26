"""`twinstream files` on a real broker: what was accepted, folded, refused; taking a file back."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from schemas.events import FileAccepted, FileRef, FileWithdrawn, ViewPublished
from schemas.topics import topic_of
from twinstream.cli.main import run
from twinstream.mesh import topics_admin
from twinstream.mesh.dead_letters import DeadLetters
from twinstream.mesh.events import EventPublisher, EventReader
from twinstream.mesh.exit_codes import FAILED, OK, USAGE
from twinstream.mesh.settings import MeshSettings

pytestmark = pytest.mark.engine
SHOP = Path(__file__).parents[2] / "examples" / "shop" / "pipeline.py"


def test_a_file_is_taken_back_until_it_is_folded(
    kafka_settings: MeshSettings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = msgspec.structs.replace(kafka_settings, pipeline=str(SHOP), external=True)
    topics_admin.ensure(settings)
    for name, value in settings.to_env().items():
        monkeypatch.setenv(name, value)
    events, own = EventPublisher(settings, "/test"), f"src-{uuid4().hex}"
    refs = [
        FileRef(uri=f"s3://raw/{own}/{n}", sha256="", version_id=f"v{n}", rows=n) for n in range(2)
    ]
    places = [
        events.publish(FileAccepted(source=own, file=ref, format="csv", accepted_at_us=1))
        for ref in refs
    ]
    DeadLetters(settings, "ingest").put(
        b"", "not there", topic="t", partition=0, offset=9, source=own, uri=f"s3://raw/{own}/no"
    )
    assert places[1] is not None

    lines = listed(capfd, own)
    assert [line["state"] for line in lines] == ["accepted", "accepted", "refused"]
    assert [line["rows"] for line in lines] == [0, 1, None]
    assert run(["files", "withdraw", refs[0].uri, "--reason", "wrong"]) == OK
    assert run(["files", "withdraw", refs[0].uri]) == OK
    with EventReader(settings, [topic_of(FileWithdrawn)]) as reader:
        taken = [
            e for e, _ in reader.read_to_end() if isinstance(e, FileWithdrawn) and e.source == own
        ]
    assert [(e.uri, e.version_id, e.reason) for e in taken] == [(refs[0].uri, "v0", "wrong")]

    events.publish(
        ViewPublished(
            view="v",
            source=own,
            epoch=1,
            cut={},
            files=[],
            definition_digest="",
            as_of_us=0,
            complete_since={},
            file_count=places[1].offset + 1,
            left_out=[places[1].offset - 1],
        )
    )
    assert [(line["state"], line["epoch"]) for line in listed(capfd, own)[:2]] == [
        ("left out", 1),
        ("folded", 1),
    ]
    assert run(["files", "withdraw", str(places[1].offset)]) == FAILED
    assert "epoch 1 holds it" in capfd.readouterr().err
    assert run(["files", "withdraw", "s3://raw/none"]) == USAGE


def listed(capfd: pytest.CaptureFixture[str], source: str) -> list[dict[str, object]]:
    capfd.readouterr()
    assert run(["files", "list", "--json", "--source", source]) == OK
    return [msgspec.json.decode(line) for line in capfd.readouterr().out.splitlines()]
