"""A file whose reader died leaves a mark; a reader that failed or was stopped leaves none."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest

from preprocess_svc.batch.history.reading_marks import ReadingMarks
from tests.objects import Objects
from twinstream.mesh.quarantine import ATTEMPTS

DEAD: list[AbstractContextManager[None]] = []
"""Held, for a generator that is collected would leave its block."""


@pytest.fixture
def marks() -> ReadingMarks:
    return ReadingMarks(Objects(), "s3://warehouse/shop/reading")  # type: ignore[arg-type]


def die_reading(marks: ReadingMarks, number: int) -> None:
    """The block is entered and never left."""
    DEAD.append(marks.reading(number))
    DEAD[-1].__enter__()


def test_a_file_is_deadly_after_as_many_deaths_as_an_input_has_attempts(
    marks: ReadingMarks,
) -> None:
    for death in range(ATTEMPTS):
        assert not marks.is_deadly(7)
        assert marks.deaths()[7] == death
        die_reading(marks, 7)
    assert marks.is_deadly(7)


def test_deaths_of_one_file_are_not_those_of_another(marks: ReadingMarks) -> None:
    for _ in range(ATTEMPTS):
        die_reading(marks, 71)
    assert not marks.is_deadly(7)
    assert marks.deaths() == {71: ATTEMPTS}


def test_an_error_is_no_death(marks: ReadingMarks) -> None:
    for _ in range(ATTEMPTS):
        with pytest.raises(KeyError), marks.reading(7):
            raise KeyError
        with marks.reading(7):
            pass
    assert not marks.deaths()


def test_a_reader_that_was_told_to_stop_did_not_die_of_its_file(marks: ReadingMarks) -> None:
    for _ in range(ATTEMPTS - 1):
        die_reading(marks, 7)
    marks.forgive()
    assert not marks.deaths()
