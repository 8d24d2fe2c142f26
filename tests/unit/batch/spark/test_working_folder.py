"""What a killed worker left on the disk is cleared away by the next one."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from preprocess_svc.batch.spark.working_folder import working_folder

DIES = """
import os, signal, sys, tempfile
from preprocess_svc.batch.spark.working_folder import working_folder
tempfile.tempdir = sys.argv[1]
with working_folder("file") as folder:
    (folder / "rows").write_bytes(b"x" * 1000)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_folder_of_a_killed_process_is_deleted_and_one_in_use_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with working_folder("file") as mine:
        subprocess.run([sys.executable, "-c", DIES, str(tmp_path)], check=False)
        assert len(list(tmp_path.iterdir())) == 2
        with working_folder("file") as another:
            assert {mine, another} == set(tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == []
