"""Who waits for an epoch is told what blocks it, and does not wait for a batch layer that only
restarts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import processes, state
from twinstream.cli.batch_watch import MOST_RESTARTS
from twinstream.cli.records import _await_views
from twinstream.errors import MeshError, WaitTimeoutError


class Reader:
    """Nothing is published; at each poll the batch layer says the next thing of itself."""

    def __init__(self, data: Path, told: Iterator[dict[str, object]]) -> None:
        self._data, self._told = data, told

    def poll(self, _: float) -> None:
        batch = state.ServiceState(state="up", pid=1, ready=False, lag=None, **next(self._told, {}))  # type: ignore[arg-type]
        mine = processes.ref(os.getpid())
        assert mine is not None
        state.write(
            self._data,
            state.MeshState(supervisor=mine, services={"batch": batch}, addresses={}, env={}),
        )


def test_what_blocks_the_batch_layer_is_told_once_and_named_at_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reader = Reader(tmp_path, iter([{"blocked": "S3 is [away]"}] * 3))
    with pytest.raises(WaitTimeoutError, match="away"):
        _await_views(reader, {"v"}, 0, 0.5, tmp_path)  # type: ignore[arg-type]
    assert capsys.readouterr().err.count("batch is blocked: S3 is [away]") == 1


def test_a_batch_layer_that_only_restarts_is_not_waited_for(tmp_path: Path) -> None:
    reader = Reader(
        tmp_path, ({"restarts": n, "last_error": "no Java"} for n in range(MOST_RESTARTS + 2))
    )
    with pytest.raises(MeshError, match="no Java"):
        _await_views(reader, {"v"}, 0, 60.0, tmp_path)  # type: ignore[arg-type]
