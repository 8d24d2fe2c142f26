"""An error as a problem of RFC 9457: status, title, words, and the row and field they are about."""

from __future__ import annotations

import re
from http import HTTPStatus

import msgspec

from twinstream.mesh.door import Answer

PROBLEM = "application/problem+json"
_ROW = re.compile(r"row (?P<row>[0-9]+): (?:(?P<field>\w+): )?")
_COLUMN = re.compile(r"(?P<field>\w+): ")


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error; its `type` is `about:blank`, for the status says the kind."""

    title: str
    """The status in words."""
    status: int
    """As the answer's."""
    detail: str
    """What is wrong and what to do."""
    error: str
    """`detail` again."""
    row: int | None = None
    """The row that is wrong."""
    field: str | None = None
    """The field of it that is wrong."""


_encode = msgspec.json.Encoder().encode


def problem(text: str, status: int) -> Problem:
    """The problem of which an error's words speak."""
    place = _ROW.match(text) or _COLUMN.match(text)
    found = place.groupdict() if place else {}
    row = found.get("row")
    return Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=text,
        error=text,
        row=None if row is None else int(row),
        field=found.get("field"),
    )


def problem_answer(text: str, status: int) -> Answer:
    """It as the door sends it."""
    data = _encode(problem(text, status))
    return Answer(status, [("content-type", PROBLEM), ("content-length", str(len(data)))], data)
