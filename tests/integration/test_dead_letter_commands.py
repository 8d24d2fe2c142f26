"""`twinstream dead-letters` on a real broker and S3 server: listed, shown to the byte,
replayed once, dropped for good.
"""

from __future__ import annotations

import sys
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from schemas.events import DataArrived, FileRef
from schemas.topics import record_sent, topic_of
from twinstream.cli.main import run
from twinstream.mesh import topics_admin
from twinstream.mesh.dead_letters import MAX_ORIGINAL_BYTES, DeadLetters
from twinstream.mesh.events import EventReader
from twinstream.mesh.exit_codes import FAILED, OK
from twinstream.mesh.open_letters import WINDOW, open_letters
from twinstream.mesh.pipeline_file import load
from twinstream.mesh.settings import MeshSettings

pytestmark = pytest.mark.engine
SHOP = Path(__file__).parents[2] / "examples" / "shop" / "pipeline.py"
RAW = record_sent("visits")


@pytest.fixture
def shop(mesh_settings: MeshSettings, monkeypatch: pytest.MonkeyPatch) -> MeshSettings:
    """Settings of a mesh that commands find in their environment;
    nothing of it but Kafka and S3 runs.
    """
    settings = msgspec.structs.replace(mesh_settings, pipeline=str(SHOP), external=True)
    topics_admin.ensure(settings, load(SHOP))
    for name, value in settings.to_env().items():
        monkeypatch.setenv(name, value)
    return settings


def listed(capfd: pytest.CaptureFixture[str], *options: str) -> list[dict[str, object]]:
    capfd.readouterr()
    assert run(["dead-letters", "list", "--json", *options]) == OK
    return [msgspec.json.decode(line) for line in capfd.readouterr().out.splitlines()]


def test_a_record_is_replayed_once_to_its_partition(
    shop: MeshSettings, capfd: pytest.CaptureFixture[str]
) -> None:
    own, original = uuid4().hex, b'{"visit_id": "\xff'
    letters = DeadLetters(shop, "ingest")
    for _ in range(2):  # as two workers that overlap write it
        letters.put(
            original,
            own,
            topic=RAW,
            partition=1,
            offset=10**9,
            carried=[("h", b"\x00")],
            key=b"k",
            source="visits",
        )
    found = listed(capfd, "--reason", own)
    assert [(line["origin"], line["bytes"], line["state"]) for line in found] == [
        (f"{RAW}[1]@{10**9}", len(original), "")
    ]
    where = str(found[0]["id"])
    assert run(["dead-letters", "replay", where]) == OK
    assert listed(capfd, "--reason", own) == []
    assert [line["state"] for line in listed(capfd, "--reason", own, "--all")] == ["replayed"]
    assert run(["dead-letters", "replay", where]) == FAILED
    assert "replayed before" in capfd.readouterr().err
    with EventReader(shop, [RAW]) as reader:
        mine = [m for m in reader.messages_to_end() if m.value() == original]
    assert [(m.partition(), m.key(), m.headers()) for m in mine] == [(1, b"k", [("h", b"\x00")])]


def test_a_corrected_record_is_sent_by_its_key(
    shop: MeshSettings, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    own = uuid4().hex
    DeadLetters(shop, "ingest").put(
        b"{", own, topic=RAW, partition=0, offset=2 * 10**9, source="visits"
    )
    better = tmp_path / "better.json"
    better.write_text(msgspec.json.encode({"shopper": own}).decode())
    assert (
        run(
            [
                "dead-letters",
                "replay",
                str(listed(capfd, "--reason", own)[0]["id"]),
                "--with",
                str(better),
            ]
        )
        == OK
    )
    with EventReader(shop, [RAW]) as reader:
        assert [m.key() for m in reader.messages_to_end() if m.value() == better.read_bytes()] == [
            own.encode()
        ]


def test_an_original_on_s3_is_shown_to_the_byte(
    shop: MeshSettings, capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    own, original = uuid4().hex, b"\x00\xff" * MAX_ORIGINAL_BYTES
    DeadLetters(shop, "predict").put(
        original, own, topic="t", partition=0, offset=0, kind="bug", trace="Traceback: here"
    )
    assert run(["dead-letters", "list", "--json", "--reason", own, "--kind", "bug"]) == OK
    where = msgspec.json.decode(capfdbinary.readouterr().out)["id"]
    assert run(["dead-letters", "show", where, "--raw"]) == OK
    assert capfdbinary.readouterr().out == original
    assert run(["dead-letters", "show", where, "--out", str(tmp_path / "original")]) == OK
    assert (tmp_path / "original").read_bytes() == original
    capfdbinary.readouterr()
    assert run(["dead-letters", "show", where]) == OK
    assert b"Traceback: here" in capfdbinary.readouterr().out
    assert run(["dead-letters", "replay", where]) == FAILED


def test_what_is_dropped_is_listed_no_more_and_lost_never(
    shop: MeshSettings, capfd: pytest.CaptureFixture[str]
) -> None:
    own = uuid4().hex
    for offset in range(3):
        DeadLetters(shop, "train").put(b"", own, topic="t", partition=0, offset=offset)
    assert run(["dead-letters", "drop", "--reason", own, "--why", "a test"]) == OK
    assert "3 dead letter(s) dropped" in capfd.readouterr().err
    assert listed(capfd, "--reason", own) == []
    assert {line["state"] for line in listed(capfd, "--reason", own, "--all")} == {"dropped"}
    assert run(["dead-letters", "drop", "--why", "everything"]) != OK


def test_an_arrival_is_announced_again_for_the_refused_file(
    shop: MeshSettings, capfd: pytest.CaptureFixture[str]
) -> None:
    own = uuid4().hex
    event = DataArrived(
        source="visits",
        files=[FileRef(uri=f"s3://raw/{own}{n}", sha256="") for n in range(2)],
        format="csv",
    )
    DeadLetters(shop, "ingest").put(
        msgspec.json.encode(event),
        own,
        topic=topic_of(DataArrived),
        partition=0,
        offset=5,
        carried=[("ce_type", b"DataArrived")],
        source="visits",
        uri=f"s3://raw/{own}1",
    )
    assert run(["dead-letters", "replay", "--reason", own]) == OK
    with EventReader(shop, [topic_of(DataArrived)]) as reader:
        found = [
            e
            for e, _ in reader.read_to_end()
            if isinstance(e, DataArrived) and e.files[0].uri.startswith(f"s3://raw/{own}")
        ]
    assert [file.uri for file in found[0].files] == [f"s3://raw/{own}1"]


def test_bad_lines_are_sent_as_they_are_and_the_others_count(
    shop: MeshSettings, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    own = uuid4().hex
    lines = [
        b'\xef\xbb\xbf{"shopper": "%s"}' % own.encode(),
        b"{%s" % own.encode(),
        b"",
        b'{"shopper": "%s", "n": 2}' % own.encode(),
    ]
    file = tmp_path / "lines.jsonl"
    file.write_bytes(b"\r\n".join(lines) + b"\r\n" + b"x" * 7_000_001)
    assert run(["send", "visits", str(file)]) == FAILED
    said = capfd.readouterr()
    assert "sent 3 record(s); 1 of them bad" in said.err
    assert "1 line(s) were not sent" in said.err
    with EventReader(shop, [RAW]) as reader:
        mine = {
            m.value(): m.key()
            for m in reader.messages_to_end()
            if own.encode() in (m.value() or b"")
        }
    assert mine == {lines[0][3:]: own.encode(), lines[1]: None, lines[3]: own.encode()}
    file.write_bytes(b"{}\n[]\n")
    assert run(["send", "visits", str(file)]) == OK
    assert run(["send", "visits", str(file), "--strict"]) == FAILED


def test_an_original_is_corrected_in_an_editor(
    shop: MeshSettings,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = uuid4().hex
    DeadLetters(shop, "ingest").put(
        b'{"shopper": "%s", "n": ' % own.encode(),
        own,
        topic=RAW,
        partition=0,
        offset=3 * 10**9,
        source="visits",
        carried=[("h", b"1")],
        key=b"lost",
    )
    where = str(listed(capfd, "--reason", own)[0]["id"])
    script = tmp_path / "editor.py"
    script.write_text(
        "import sys, pathlib; f = pathlib.Path(sys.argv[1]); f.write_bytes(f.read_bytes() + b'7}')"
    )
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "true")
    assert run(["dead-letters", "replay", where, "--edit"]) == FAILED
    assert [line["state"] for line in listed(capfd, "--reason", own)] == [""]
    monkeypatch.setenv("EDITOR", f"{sys.executable} {script}")
    assert run(["dead-letters", "replay", where, "--edit"]) == OK
    assert [line["state"] for line in listed(capfd, "--reason", own, "--all")] == ["replayed"]
    with EventReader(shop, [RAW]) as reader:
        mine = [m for m in reader.messages_to_end() if own.encode() in (m.value() or b"")]
    assert [(m.key(), m.headers()) for m in mine] == [(own.encode(), [("h", b"1")])]
    assert mine[0].value().endswith(b'"n": 7}')


def test_what_is_open_is_counted_by_service(shop: MeshSettings) -> None:
    own, letters = uuid4().hex, DeadLetters(shop, "monitor")
    for offset in range(3):
        letters.put(
            b"x", f"{own} {offset}", topic="t", partition=0, offset=offset, kind="bug", wait=False
        )
    letters.flush()
    found = open_letters(shop, bound_s=30.0)["monitor"]
    assert (found.bugs >= 3, found.whole, found.reason) == (True, True, f"{own} 2")
    assert run(["dead-letters", "drop", "--reason", own, "--why", "a test"]) == OK
    after = open_letters(shop, bound_s=30.0).get("monitor")
    assert (after.count if after else 0) == found.count - 3


def test_more_letters_than_are_looked_at_are_told_as_such(shop: MeshSettings) -> None:
    own, letters = uuid4().hex, DeadLetters(shop, "preprocess")
    for offset in range(WINDOW + 50):
        letters.put(b"x", own, topic=own, partition=0, offset=offset, wait=False)
    letters.flush()
    found = open_letters(shop, bound_s=30.0)["preprocess"]
    assert (found.count, found.whole, found.reason) == (WINDOW, False, own)
