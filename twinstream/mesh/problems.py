"""Errors of HTTP services as problems of RFC 9457, built from what the error knows of its place."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

PROBLEM = "application/problem+json"
RETRY_AFTER_S = 1
"""What `Retry-After` says beside 429 and 503."""


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error; its `type` is `about:blank`, for the status says the kind."""

    title: str
    """The status in words."""
    status: int
    """As the answer's, or of one row where others were answered."""
    detail: str
    """What is wrong."""
    error: str
    """What is wrong and, if that is known, what to do."""
    row: int | None = None
    """The row that is wrong, counted from 0."""
    field: str | None = None
    """The field of it that is wrong."""
    remedy: str | None = None
    """What to do."""


class RefusedError(Exception):
    """A request that does not get through the door."""

    def __init__(
        self,
        status: int,
        text: str,
        remedy: str = "",
    ) -> None:
        super().__init__(text)
        self.status, self.text, self.remedy = status, text, remedy


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What a problem is about, and what to do."""

    row: int | None = None
    field: str = ""
    remedy: str = ""


NOWHERE = Place()
_encode = msgspec.json.Encoder().encode


def problem_of(
    detail: str,
    status: int,
    place: Place = NOWHERE,
) -> Problem:
    """The problem of an error's words and place."""
    return Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        error=f"{detail}: {place.remedy}" if place.remedy else detail,
        row=place.row,
        field=place.field or None,
        remedy=place.remedy or None,
    )


def problem_body(problem: Problem) -> tuple[list[tuple[str, str]], bytes]:
    """Headers and body; a busy service says when to ask again."""
    body = _encode(problem)
    headers = [("content-type", PROBLEM), ("content-length", str(len(body)))]
    if problem.status in {429, 503}:
        headers.append(("Retry-After", str(RETRY_AFTER_S)))
    return headers, body
