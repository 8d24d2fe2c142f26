"""What becomes of an input whose handling fails: by the kind of error, and over restarts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.mesh.fakes import Message, Sinks
from twinstream.errors import ObjectMissingError, StorageUnavailableError
from twinstream.mesh.quarantine import ATTEMPTS, Quarantine
from twinstream.mesh.settings import MeshSettings


def _quarantine(folder: Path, sinks: Sinks) -> Quarantine:
    """That of a process which was started anew."""
    return Quarantine(MeshSettings(pipeline="none", data=str(folder)), "batch", sinks, sinks)


def _fail(error: Exception) -> None:
    raise error


def test_permanent_error_is_a_dead_letter_at_once_and_work_goes_on(tmp_path: Path) -> None:
    sinks = Sinks()
    quarantine = _quarantine(tmp_path, sinks)
    assert quarantine.handle(Message(), lambda: _fail(ObjectMissingError("gone"))) is None
    assert quarantine.handle(Message(at=1), lambda: "done") == "done"
    assert [(kind, reason) for kind, reason, _ in sinks.letters] == [("permanent", "gone")]


def test_transient_error_is_raised_and_costs_no_attempt(tmp_path: Path) -> None:
    sinks = Sinks()
    quarantine = _quarantine(tmp_path, sinks)
    for _ in range(2 * ATTEMPTS):
        with pytest.raises(StorageUnavailableError):
            quarantine.handle(Message(), lambda: _fail(StorageUnavailableError("away")))
    assert quarantine.handle(Message(), lambda: "done") == "done"
    assert sinks.letters == []


def test_bug_gets_three_attempts_over_restarts_and_is_then_a_dead_letter_with_its_trace(
    tmp_path: Path,
) -> None:
    sinks, tried = Sinks(), []

    def work() -> None:
        tried.append(1)
        _fail(KeyError("surprise"))

    for _ in range(ATTEMPTS - 1):
        with pytest.raises(KeyError):
            _quarantine(tmp_path, sinks).handle(Message(), work)
        assert sinks.letters == []
    assert _quarantine(tmp_path, sinks).handle(Message(), work) is None
    ((kind, reason, trace),) = sinks.letters
    assert (kind, "surprise" in reason, "in work" in trace) == ("bug", True, True)
    assert sinks.counted == {"mesh_dead_letters_total:bug": 1}
    assert _quarantine(tmp_path, sinks).handle(Message(), work) is None
    assert (len(tried), len(sinks.letters)) == (ATTEMPTS, 1)


def test_success_forgets_earlier_attempts(tmp_path: Path) -> None:
    sinks = Sinks()
    with pytest.raises(KeyError):
        _quarantine(tmp_path, sinks).handle(Message(), lambda: _fail(KeyError("once")))
    assert _quarantine(tmp_path, sinks).handle(Message(), lambda: 1) == 1
    assert _quarantine(tmp_path, sinks).failures.of("client.data-arrived.v1[0]@0") is None


def test_what_is_refused_is_a_dead_letter_once_however_often_it_is_read(tmp_path: Path) -> None:
    sinks = Sinks()
    for _ in range(3):
        _quarantine(tmp_path, sinks).refuse(Message(), "not JSON")
    assert len(sinks.letters) == 1


def test_disk_that_takes_nothing_costs_only_the_memory_over_restarts(tmp_path: Path) -> None:
    (tmp_path / "quarantine").write_text("a file where the folder should be")
    sinks = Sinks()
    quarantine = _quarantine(tmp_path, sinks)
    quarantine.refuse(Message(), "not JSON")
    assert quarantine.handle(Message(), lambda: "again") is None
    assert len(sinks.letters) == 1
