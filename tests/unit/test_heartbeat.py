"""A heartbeat is whole, and names the worker it comes from."""

from __future__ import annotations

import os
from pathlib import Path

from twinstream.mesh.clock import ManualClock
from twinstream.mesh.heartbeat import Heartbeat, read_beat
from twinstream.mesh.settings import MeshSettings


def test_a_beat_is_read_as_it_was_said(tmp_path: Path) -> None:
    settings = MeshSettings(pipeline="p", data=str(tmp_path))
    Heartbeat(settings, "ingest", ManualClock(5)).beat(ready=True, lag=3, detail={"epoch": 1})
    beat = read_beat(tmp_path / "run" / "ingest.json")
    assert beat is not None
    assert (beat.pid, beat.ready, beat.lag, beat.detail, beat.at_us) == (
        os.getpid(),
        True,
        3,
        {"epoch": 1},
        5,
    )


def test_a_second_worker_has_a_file_of_its_own(tmp_path: Path) -> None:
    Heartbeat(MeshSettings(pipeline="p", data=str(tmp_path), instance="2"), "speed").beat(
        ready=False
    )
    assert read_beat(tmp_path / "run" / "speed@2.json") is not None
    assert read_beat(tmp_path / "run" / "speed.json") is None
