"""The rows of an answered request, each as one prediction: what the monitor joins with labels and
what is rebuilt. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from schemas.events import PredictionServed, Release, ViewPosition
from twinstream.errors import UndecodableEventError

MOST_ROWS = 256
"""Rows of one message; a larger request takes several."""


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


def row_id(request: str, row: int) -> str:
    """The id of a row of a request."""
    return f"{request}-{row}"


def row_of(prediction: str) -> tuple[str, int]:
    """(id of the request, row) of a prediction's id; the id of a request alone means its first
    row.
    """
    request, dash, row = prediction.rpartition("-")
    return (request, int(row)) if dash and row.isascii() and row.isdigit() else (prediction, 0)


def predictions_of(event: PredictionServed) -> Iterator[Prediction]:
    """Each row of the event.

    Raises UndecodableEventError for an event whose rows do not fit its inputs and positions:
    anybody may have written it.
    """
    for i, row in enumerate(event.rows):
        try:
            positions = {
                view: dict(enumerate(event.positions[view]))[numbers[i]]
                for view, numbers in event.places.items()
            }
            features = dict(zip(event.inputs, row.features, strict=True))
        except (LookupError, ValueError) as error:
            raise UndecodableEventError(
                f"row {i} of request {event.id[:80]!r} does not fit it: {error}"
            ) from error
        yield Prediction(
            id=row_id(event.id, event.first_row + i),
            model=event.model,
            release=event.release,
            at_us=row.at_us,
            request=row.request,
            positions=positions,
            features=features,
            output=row.output,
            batch_shape=row.batch_shape,
            served_at_us=event.served_at_us,
        )


def find_row(event: PredictionServed, prediction: str) -> Prediction | None:
    """The prediction of that id, when the event holds it."""
    request, row = row_of(prediction)
    if event.id != request or not event.first_row <= row < event.first_row + len(event.rows):
        return None
    return list(predictions_of(event))[row - event.first_row]
