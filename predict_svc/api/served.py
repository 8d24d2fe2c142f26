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
    positions, places = _numbered(scored.positions, len(scored.rows))
    rows = [
        ServedRow(
            at_us=at_us,
            request=row,
            positions=place,
            features=values,
            features_digest=digest,
            output=score,
            batch_shape=shape,
        )
        for at_us, row, place, values, digest, score, shape in zip(
            scored.at_us,
            scored.rows,
            places,
            record.lists(scored.features, inputs),
            record.digests(scored.features, inputs),
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
            inputs=list(inputs.names),
            positions=positions,
            rows=rows[first : first + MOST_ROWS],
            first_row=first,
            served_at_us=now_us,
        )
        for first in range(0, len(rows), MOST_ROWS)
    ]


def _numbered(
    positions: dict[str, list[ViewPosition]], rows: int
) -> tuple[dict[str, list[ViewPosition]], list[dict[str, int]]]:
    """The different positions of each view, and per row which of them it has: one for each partition that was read."""
    different: dict[str, list[ViewPosition]] = {}
    numbers: dict[str, list[int]] = {}
    for view, found in positions.items():
        known: dict[int, int] = {}
        numbers[view] = [known.setdefault(id(position), len(known)) for position in found]
        first = {id(position): position for position in found}
        different[view] = [first[at] for at in known]
    return different, [{view: n[i] for view, n in numbers.items()} for i in range(rows)]
