"""Reads the keys of a question from a view: answers and the position of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from predict_svc.api.serving import ViewReads
from schemas.events import ViewPosition
from twinstream.algebra import kernel
from twinstream.features.arrays import Numbers

NOTHING = np.zeros(0, np.int64)


def read_keys(
    reader: ViewReads,
    keys: Sequence[bytes | None],
    at_us: np.ndarray[Any, np.dtype[np.int64]],
    epoch: int | None,
) -> tuple[Numbers, list[ViewPosition]]:
    """Answers and position of each key at its moment; a row without a key gets what a key never seen gets."""
    if len(keys) == 1 and keys[0] is not None:
        answer, position = reader.read(keys[0], int(at_us[0]), epoch)
        return answer[None, :], [position]
    known = [(i, key) for i, key in enumerate(keys) if key is not None]
    given = [i for i, _ in known]
    wanted = [key for _, key in known]
    found, places = reader.read_many(wanted, at_us[given], epoch)
    if len(given) == len(keys):
        return found, places
    unknown = [kernel.read(reader.plan, NOTHING, int(at)) for at in at_us]
    out = np.stack(unknown)
    out[given] = found
    partitions = list(reader.positions(epoch).values())
    positions = [joined(partitions)] * len(keys)
    for i, place in zip(given, places, strict=True):
        positions[i] = place
    return out, positions


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
