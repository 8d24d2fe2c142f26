"""Files written whole, and folders for temporary files."""

from pathlib import Path

import pytest

from twinstream.mesh.files import scratch, write_whole


def test_a_scratch_folder_is_emptied_of_what_a_killed_process_left(tmp_path: Path) -> None:
    left = tmp_path / "tmp" / "snappy" / "lib.so"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"left")
    assert scratch(tmp_path / "tmp") == tmp_path / "tmp"
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_scratch_folder_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert scratch(Path("a") / "tmp") == tmp_path / "a" / "tmp"


def test_a_file_is_replaced_and_nothing_stays_aside(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", b"old")
    write_whole(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert len(list(tmp_path.iterdir())) == 1
