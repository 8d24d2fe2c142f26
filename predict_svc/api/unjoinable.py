"""Rows whose label can never be met: they are answered, and the answer says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from twinstream.define import Label

Row = Mapping[str, Any]


class AnswerWarning(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with rows that were answered all the same."""

    field: str
    """That they lack."""
    row: int
    """The first such row."""
    rows: int
    """How many rows lack it."""
    detail: str
    """What follows from it, and what to do."""


def warnings_of(label: Label, rows: Iterable[tuple[int, Row]]) -> list[AnswerWarning]:
    """One for each field by which questions join their outcome and which some of these rows lack;
    rows with their numbers in the request.
    """
    given = list(rows)
    found = []
    for field in label.on:
        lacking = [number for number, row in given if row.get(field) is None]
        if lacking:
            found.append(_warning(label, field, lacking))
    return found


def _warning(label: Label, field: str, lacking: list[int]) -> AnswerWarning:
    return AnswerWarning(
        field=field,
        row=lacking[0],
        rows=len(lacking),
        detail=(
            f"without {field!r} the outcome {label.name!r} can never be found, so these "
            "predictions will not be measured: send it with each row"
        ),
    )
