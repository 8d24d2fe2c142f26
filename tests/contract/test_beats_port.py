"""What the monitor may expect of Beats: of the folder that processes beat into, and of the fake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from monitor_svc.adapters.heartbeat_folder import HeartbeatFolder
from monitor_svc.ports import Beats
from tests.unit.monitor.feeder import FakeBeats
from twinstream.mesh.heartbeat import Heartbeat
from twinstream.mesh.settings import MeshSettings


def folder(path: Path) -> Beats:
    settings = MeshSettings(pipeline="none", data=str(path))
    path = settings.run_folder()
    Heartbeat(settings, "ingest", away=lambda: "").beat(True, 12)
    Heartbeat(settings, "train", away=lambda: "Kafka is away").beat(True)
    (path / "torn.json").write_bytes(b'{"name": "to')
    return HeartbeatFolder(path)


KINDS: dict[str, Callable[[Path], Beats]] = {"folder": folder, "fake": lambda _: FakeBeats()}


@pytest.mark.parametrize("made", KINDS.values(), ids=KINDS)
def test_a_beat_says_who_lives_and_how(made: Callable[[Path], Beats], tmp_path: Path) -> None:
    found = {beat["name"]: beat for beat in made(tmp_path).read()}
    assert {"ingest", "train"} <= set(found)
    for beat in found.values():
        assert isinstance(beat["pid"], int)
        assert isinstance(beat["at_us"], int)
        assert beat["lag"] is None or isinstance(beat["lag"], int)
    assert found["ingest"]["ready"] is True
    assert found["ingest"]["lag"] == 12
    assert found["train"]["ready"] is False
