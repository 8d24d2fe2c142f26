"""Small files that others read are written whole, and on a full disk too."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import TextIO, cast

import pytest

from deploy.local import ports, state
from monitor_svc.adapters.heartbeat_folder import HeartbeatFolder
from tests.unit.disk import fill
from twinstream.mesh.files import BLOCK_BYTES, write_status, write_whole
from twinstream.mesh.heartbeat import Heartbeat, read_beat
from twinstream.mesh.log import Forgiving
from twinstream.mesh.quarantine import Failure, Failures
from twinstream.mesh.settings import MeshSettings


def test_a_status_is_overwritten_in_place_on_a_full_disk(small_disk: Path) -> None:
    path = small_disk / "a.json"
    assert write_status(path, b'{"a": 1}')
    fill(small_disk)
    assert not write_status(path, b'{"a": 22}')
    assert path.read_bytes().strip() == b'{"a": 22}'
    (small_disk / "filler").unlink()
    assert write_status(path, b'{"a": 333}')


def test_nothing_stays_of_a_file_that_could_not_be_written(small_disk: Path) -> None:
    fill(small_disk)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        write_whole(small_disk / "a", b"x" * BLOCK_BYTES)
    assert [path.name for path in small_disk.iterdir()] == ["filler"]


def test_a_service_beats_on_when_the_disk_is_full(small_disk: Path) -> None:
    beat = Heartbeat(MeshSettings(pipeline="p", data=str(small_disk)), "view")
    beat.beat(ready=False)
    fill(small_disk)
    beat.beat(ready=True, lag=3)
    found = read_beat(small_disk / "run" / "view.json")
    assert found is not None
    assert (found.ready, found.lag) == (True, 3)


def test_a_first_beat_on_a_full_disk_ends_no_service(small_disk: Path) -> None:
    beat = Heartbeat(MeshSettings(pipeline="p", data=str(small_disk)), "view")
    fill(small_disk)
    beat.beat(ready=True)
    assert read_beat(small_disk / "run" / "view.json") is None
    (small_disk / "filler").unlink()
    beat.beat(ready=True)
    assert read_beat(small_disk / "run" / "view.json") is not None


def test_half_a_beat_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"name": "a", "pi')
    assert read_beat(tmp_path / "a.json") is None


def test_a_log_line_that_cannot_be_written_is_lost_alone(small_disk: Path) -> None:
    fill(small_disk)
    with (small_disk / "filler").open("a", buffering=1) as full:
        log = Forgiving(full)
        log.write("x" * 100_000 + "\n")
        log.flush()
        (small_disk / "filler").write_text("")
        log.write("there\n")
    assert (small_disk / "filler").read_text().endswith("there\n")


def test_a_closed_stream_is_forgiven() -> None:
    stream = io.StringIO()
    stream.close()
    assert Forgiving(cast("TextIO", stream)).write("x") == 1


@pytest.mark.parametrize(
    "held", [b"", b"{", b'{"name": "\xff"}', b"\x00" * 4096, b"[" * 100_000, b"[]"]
)
def test_a_spoilt_file_of_ours_is_none(tmp_path: Path, held: bytes) -> None:
    """What a power cut leaves is any bytes: no process ends over its own small files."""
    (tmp_path / "run").mkdir()
    for name in ("view.json", "mesh.json", "ports.json"):
        (tmp_path / "run" / name).write_bytes(held)
    assert read_beat(tmp_path / "run" / "view.json") is None
    assert state.read(tmp_path) is None
    assert ports._read(tmp_path / "run" / "ports.json") == {}
    assert HeartbeatFolder(tmp_path / "run").read() == []
    folder = tmp_path / "quarantine"
    folder.mkdir()
    (folder / "view.json").write_bytes(held)
    failures = Failures(MeshSettings(pipeline="p", data=str(tmp_path)), "view")
    assert failures.of("a") is None
    failures.note("a", Failure(attempts=1))
    assert Failures(MeshSettings(pipeline="p", data=str(tmp_path)), "view").of("a") is not None
