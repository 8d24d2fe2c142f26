"""What is remembered of an answered request: one event for at most 256 rows, from which each can be
rebuilt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from predict_svc.api.serving import Active
from predict_svc.api.view_lookup import RowPositions
from schemas.events import PredictionServed, ServedRow
from twinstream.features import record
from twinstream.features.arrays import Features
from twinstream.protocol.predictions import MOST_ROWS, shared_id


class Scored(msgspec.Struct, frozen=True):
    """What came of a request's rows: per view the position of each row, features, scores and batch shapes."""

    id: str
    rows: list[dict[str, Any]]
    at_us: list[int]
    positions: dict[str, RowPositions]
    features: Features
    scores: list[float]
    shapes: list[int]
    starts: list[int] = []
    """Where the rows of each request begin, when several were answered together."""

    def requests(self) -> Iterator[tuple[str, slice]]:
        """The id of each request, and its rows."""
        if not self.starts:
            yield self.id, slice(0, len(self.rows))
            return
        ends = [*self.starts[1:], len(self.rows)]
        for number, (start, end) in enumerate(zip(self.starts, ends, strict=True)):
            yield shared_id(self.id, number), slice(start, end)


def events_of(active: Active, scored: Scored, now_us: int) -> list[PredictionServed]:
    """The events of a request, in the order of its rows."""
    inputs = active.form.inputs
    positions = {view: found.different for view, found in scored.positions.items()}
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
    events = []
    for first in range(0, len(rows), MOST_ROWS):
        part = slice(first, first + MOST_ROWS)
        event = PredictionServed(
            id=scored.id,
            model=active.form.model.name,
            release=active.release,
            inputs=active.quick.names,
            positions=positions,
            places={view: found.places[part] for view, found in scored.positions.items()},
            rows=rows[part],
            first_row=first,
            served_at_us=now_us,
            starts=scored.starts,
            canary=active.canary,
        )
        events.append(event)
    return events
