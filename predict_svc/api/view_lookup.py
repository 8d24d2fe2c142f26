"""Reads the keys of a question from a view: answers and the position of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from predict_svc.api.serving import ViewReads
from schemas.events import ViewPosition
from twinstream.algebra import kernel
from twinstream.features.arrays import Numbers

NOTHING = np.zeros(0, np.int64)


class RowPositions(msgspec.Struct, frozen=True):
    """Where rows were read: the different positions, and for each row which of them it has. Rows of
    one partition share one object.
    """

    different: list[ViewPosition]
    places: list[int]

    @classmethod
    def of(cls, positions: Sequence[ViewPosition]) -> RowPositions:
        """Of the position of each row."""
        by_identity = {id(position): position for position in positions}
        if len(by_identity) == 1:
            return cls(list(by_identity.values()), [0] * len(positions))
        number = {identity: i for i, identity in enumerate(by_identity)}
        places = [number[id(position)] for position in positions]
        return cls(list(by_identity.values()), places)

    def seen_by(self, rows: slice) -> ViewPosition:
        """What all of these rows have seen."""
        places = set(self.places[rows])
        if len(places) == 1:
            return self.different[places.pop()]
        return joined([self.different[place] for place in sorted(places)])


def read_keys(
    reader: ViewReads,
    keys: Sequence[bytes | None],
    at_us: np.ndarray[Any, np.dtype[np.int64]],
    epoch: int | None,
) -> tuple[Numbers, RowPositions]:
    """Answers and position of each key at its moment; a row without a key gets what a key never seen gets."""
    if len(keys) == 1 and keys[0] is not None:
        answer, position = reader.read(keys[0], int(at_us[0]), epoch)
        return answer[None, :], RowPositions([position], [0])
    given = [i for i, key in enumerate(keys) if key is not None]
    wanted = [key for key in keys if key is not None]
    if len(given) == len(keys):
        found, places = reader.read_many(wanted, at_us, epoch)
        return found, RowPositions.of(places)
    found, places = reader.read_many(wanted, at_us[given], epoch)
    unknown = [kernel.read(reader.plan, NOTHING, int(at)) for at in at_us]
    out = np.stack(unknown)
    out[given] = found
    partitions = list(reader.positions(epoch).values())
    positions = [joined(partitions)] * len(keys)
    for i, place in zip(given, places, strict=True):
        positions[i] = place
    return out, RowPositions.of(positions)


def joined(positions: Sequence[ViewPosition]) -> ViewPosition:
    """What all of several partitions have seen: the least of each offset."""
    first = positions[0]
    if all(position is first for position in positions):
        return first
    return ViewPosition(
        epoch=first.epoch,
        log=_least([p.log for p in positions]),
        raw=_least([p.raw for p in positions]),
    )


def _least(offsets: Sequence[Mapping[int, int]]) -> dict[int, int]:
    partitions = {partition for found in offsets for partition in found}
    least = {}
    for partition in sorted(partitions):
        least[partition] = min(found.get(partition, -1) for found in offsets)
    return least
