"""What is remembered of an answered request: one event for at most 256 rows, from which each can be rebuilt."""

from __future__ import annotations

from typing import Any

import msgspec

from predict_svc.api.serving import Active
from schemas.events import PredictionServed, ServedRow, ViewPosition
from twinstream.features import record
from twinstream.features.arrays import Features
from twinstream.protocol.predictions import MOST_ROWS


class Scored(msgspec.Struct, frozen=True):
    """What came of a request's rows: per view the position of each row, features, scores and batch shapes."""

    id: str
    rows: list[dict[str, Any]]
    at_us: list[int]
    positions: dict[str, list[ViewPosition]]
    features: Features
    scores: list[float]
    shapes: list[int]


def events_of(active: Active, scored: Scored, now_us: int) -> list[PredictionServed]:
    """The events of a request, in the order of its rows."""
    inputs = active.form.inputs
    positions, places = _numbered(scored.positions)
    rows = [
        ServedRow(
            at_us=at_us,
            request=row,
            features=values,
            output=score,
            batch_shape=shape,
        )
        for at_us, row, values, score, shape in zip(
            scored.at_us,
            scored.rows,
            record.lists(scored.features, inputs),
            scored.scores,
            scored.shapes,
            strict=True,
        )
    ]
    return [
        PredictionServed(
            id=scored.id,
            model=active.form.model.name,
            release=active.release,
            inputs=active.quick.names,
            positions=positions,
            places={view: n[first : first + MOST_ROWS] for view, n in places.items()},
            rows=rows[first : first + MOST_ROWS],
            first_row=first,
            served_at_us=now_us,
        )
        for first in range(0, len(rows), MOST_ROWS)
    ]


def _numbered(
    positions: dict[str, list[ViewPosition]],
) -> tuple[dict[str, list[ViewPosition]], dict[str, list[int]]]:
    """The different positions of each view, and for each row which of them it has."""
    different: dict[str, list[ViewPosition]] = {}
    numbers: dict[str, list[int]] = {}
    for view, found in positions.items():
        by_identity = {id(position): position for position in found}
        number = {identity: i for i, identity in enumerate(by_identity)}
        different[view] = list(by_identity.values())
        numbers[view] = [number[id(position)] for position in found]
    return different, numbers
