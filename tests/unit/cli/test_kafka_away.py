"""A broker that is away is said once, in words."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from twinstream.mesh.exit_codes import NOT_RUNNING


@pytest.mark.parametrize("command", [["dead-letters", "list"], ["files", "list"]])
def test_a_broker_that_is_away_is_said_once(command: list[str]) -> None:
    env = {
        **os.environ,
        "TWINSTREAM_EXTERNAL": "1",
        "TWINSTREAM_KAFKA": "127.0.0.1:1",
        "TWINSTREAM_PIPELINE": "none",
    }
    done = subprocess.run(
        [sys.executable, "-m", "twinstream.cli.main", *command],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == NOT_RUNNING
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Kafka does not answer" in done.stderr
