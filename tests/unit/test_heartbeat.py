"""A heartbeat is whole, and names the worker it comes from."""

from __future__ import annotations

import os
from pathlib import Path

from twinstream.mesh.clock import ManualClock
from twinstream.mesh.heartbeat import SILENT_S, BackgroundBeat, Beat, Heartbeat, read_beat
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


def test_a_process_is_not_ready_while_an_engine_is_away(tmp_path: Path) -> None:
    away = ["Kafka has not answered for 7 s"]
    settings = MeshSettings(pipeline="p", data=str(tmp_path))
    heartbeat = Heartbeat(settings, "ingest", away=lambda: away[0])
    heartbeat.beat(True, detail={"epoch": 1})
    assert read(tmp_path).ready is False
    assert read(tmp_path).detail == {"epoch": 1, "reason": away[0]}
    away[0] = ""
    heartbeat.beat(True, detail={"epoch": 1})
    assert read(tmp_path).ready is True
    assert read(tmp_path).detail == {"epoch": 1}


def test_a_loop_that_tells_nothing_any_more_is_not_ready(tmp_path: Path) -> None:
    now = [100.0]
    settings = MeshSettings(pipeline="p", data=str(tmp_path))
    beats = BackgroundBeat(Heartbeat(settings, "ingest"), lambda: now[0])
    beats.tell(True, 3, {"epoch": 1})
    beats.beat()
    assert (read(tmp_path).ready, read(tmp_path).lag) == (True, 3)
    now[0] += SILENT_S
    beats.beat()
    assert read(tmp_path).ready is False
    assert read(tmp_path).detail["reason"] == "no round was finished for 15 s"


def read(folder: Path) -> Beat:
    beat = read_beat(folder / "run" / "ingest.json")
    assert beat is not None
    return beat
