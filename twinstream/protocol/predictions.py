"""The rows of an answered request, each as one prediction: what the monitor joins with labels and
what is rebuilt. Pure.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from typing import Any

import msgspec

from schemas.events import PredictionServed, Release, ViewPosition

MOST_ROWS = 256
"""Rows of one message; a larger request takes several."""


class ShadowScore(msgspec.Struct, frozen=True, kw_only=True):
    """What a candidate says of a row, and where that lay in its batch."""

    model_digest: str
    output: float
    batch_shape: int
    place: int


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """One answered row with all that belongs to it."""

    id: str
    model: str
    release: Release
    at_us: int
    request: dict[str, Any]
    positions: dict[str, ViewPosition]
    features: dict[str, Any]
    output: float
    batch_shape: int = 0
    served_at_us: int = 0
    row: int = 0
    """Its index among the rows that were scored with it."""
    shadow: ShadowScore | None = None
    canary: bool = False
    """The model of the release answered a share of the keys only."""


def shared_id(batch: str, number: int) -> str:
    """The id of a request that was answered together with others."""
    return f"{batch}.{number}"


def row_id(request: str, row: int) -> str:
    """The id of a row of a request."""
    return f"{request}-{row}"


def asked_id(topic: str, partition: int, offset: int) -> str:
    """The id of a request that came as this message of Kafka: whoever sent it knows its place, and
    a repeat has the same id.
    """
    return uuid.uuid5(uuid.NAMESPACE_URL, f"kafka:{topic}/{partition}/{offset}").hex


def row_of(prediction: str) -> tuple[str, int]:
    """(id of the request, row) of a prediction's id; the id of a request alone means its first
    row.
    """
    request, dash, row = prediction.rpartition("-")
    return (request, int(row)) if dash and row.isascii() and row.isdigit() else (prediction, 0)


def predictions_of(event: PredictionServed) -> Iterator[Prediction]:
    """Each row of a plausible event, whose rows fit it."""
    ids = _ids(event)
    for i, row in enumerate(event.rows):
        yield Prediction(
            id=ids[i],
            model=event.model,
            release=event.release,
            at_us=row.at_us,
            request=row.request,
            positions=_positions(event, i),
            features=dict(zip(event.inputs, row.features, strict=True)),
            output=row.output,
            batch_shape=row.batch_shape,
            served_at_us=event.served_at_us,
            row=event.first_row + i,
            shadow=_shadow(event, i),
            canary=event.canary,
        )


def _shadow(event: PredictionServed, row: int) -> ShadowScore | None:
    found = event.shadow
    if found is None:
        return None
    return ShadowScore(
        model_digest=found.model_digest,
        output=found.outputs[row],
        batch_shape=found.batch_shape,
        place=row,
    )


def _positions(event: PredictionServed, row: int) -> dict[str, ViewPosition]:
    """Per view, at which position the row's key was read."""
    known = event.positions
    return {view: known[view][places[row]] for view, places in event.places.items()}


def _ids(event: PredictionServed) -> list[str]:
    rows = len(event.rows)
    if not event.starts:
        return [row_id(event.id, event.first_row + i) for i in range(rows)]
    ids = []
    bounds = itertools.pairwise([*event.starts, rows])
    for number, (start, end) in enumerate(bounds):
        request = shared_id(event.id, number)
        ids += [row_id(request, row) for row in range(end - start)]
    return ids


def part_of(event: PredictionServed, begin: int, end: int, first_row: int) -> PredictionServed:
    """Rows [begin, end) of an event as one of their own, whose first is `first_row` of the
    request; without what a candidate says of them, which is of the whole event.
    """
    return msgspec.structs.replace(
        event,
        rows=event.rows[begin:end],
        places={view: numbers[begin:end] for view, numbers in event.places.items()},
        first_row=first_row,
        shadow=None,
    )


def find_row(event: PredictionServed, prediction: str) -> Prediction | None:
    """The prediction of that id, when the event holds it."""
    if not prediction.startswith(event.id):
        return None
    wanted = row_id(*row_of(prediction))
    return next((found for found in predictions_of(event) if found.id == wanted), None)
