"""Compares what readers of a view are answered with the naive way, for some of its keys (all,
where there are few), within a bound of time.
"""

# The full comparison folds with the mesh's own algebra and prunes as the view says:
# a fault of either would be on both sides.

from __future__ import annotations

import time
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec
import numpy as np

from twinstream.algebra import kernel, keys, windows
from twinstream.algebra.plan import ViewPlan
from twinstream.audit import plain
from twinstream.audit.everything import Known
from twinstream.define import View

KEYS = 200
ROWS = 5_000
SECONDS = 20.0
"""About so many keys of a partition, each of at most so many records, and at most so long."""
NEVER_US = -(1 << 62)


class Partition(Protocol):
    """What is read of a partition of a serving view; see `compare.Served`."""

    @property
    def partition(self) -> int: ...
    @property
    def complete_since(self) -> Mapping[int, int]: ...
    @property
    def states(self) -> Mapping[bytes, bytes]: ...


class Odd(msgspec.Struct, frozen=True):
    """An answer that is not what the naive way gives; no key: the view refuses the question."""

    view: str
    key: str
    served: str
    wanted: str


class Sampled(msgspec.Struct, frozen=True):
    """How many answers were compared, and those that are wrong."""

    compared: int
    wrong: list[Odd]

    def plus(self, other: Sampled) -> Sampled:
        """Both together."""
        return Sampled(self.compared + other.compared, self.wrong + other.wrong)


def check(
    view: View,
    served: Partition,
    seen: Sequence[Known],
    partitions: int,
    now_us: int,
) -> Sampled:
    """The answers of one partition of a view; `seen` is all that it had seen, of every
    partition.
    """
    kept_us = kept_from_us(view, served.complete_since)
    if kept_us > now_us:
        wanted = f"answers a question of now, {now_us} us"
        return Sampled(1, [Odd(view.name, "", f"refuses questions before {kept_us} us", wanted)])
    found, give_up = Sampled(0, []), time.monotonic() + SECONDS
    for key, rows in _sampled(view, served, seen, partitions).items():
        for at_us in _moments(view, rows, kept_us, now_us):
            found = found.plus(_compared(view, key, served.states.get(key, b""), rows, at_us))
        if time.monotonic() > give_up:
            break
    return found


def kept_from_us(view: View, complete_since: Mapping[int, int]) -> int:
    """The first moment at which no window of the view begins before what its base keeps."""
    names = {output.window for output in view.outputs if output.window != "all"}
    starts = [
        complete_since[hop] * windows.HOP_US[hop] + windows.length_us(name)
        for name in names
        if (hop := windows.hop_of(name)) in complete_since
    ]
    return max(starts, default=NEVER_US)


def _sampled(
    view: View,
    served: Partition,
    seen: Sequence[Known],
    partitions: int,
) -> dict[bytes, list[plain.Row]]:
    """The records of some keys of the partition."""
    one_in = max(1, len(served.states) // KEYS)
    rows: dict[bytes, list[plain.Row]] = defaultdict(list)
    for k in seen:
        key = keys.encode([k.record[name] for name in view.by])
        if key is None or zlib.crc32(key) % one_in:
            continue
        if keys.partition_of(key, partitions) == served.partition:
            rows[key].append(plain.Row(k.record, k.position))
    return {key: found for key, found in rows.items() if len(found) <= ROWS}


def _moments(
    view: View,
    rows: Sequence[plain.Row],
    kept_us: int,
    now_us: int,
) -> list[int]:
    """Now, and about the key's newest records, as far as such a question is answered."""
    newest = max(row.record[view.source.event_time] for row in rows)
    return sorted(
        {
            at_us
            for at_us in (now_us, newest, newest - plain.HOUR_US, newest + plain.DAY_US)
            if at_us >= kept_us
        }
    )


def _compared(
    view: View,
    key: bytes,
    blob: bytes,
    rows: Sequence[plain.Row],
    at_us: int,
) -> Sampled:
    """One key at one moment, output by output."""
    given = kernel.read(ViewPlan(view), np.frombuffer(blob, np.int64), at_us).tolist()
    wanted, wrong, first = plain.answers(view, rows, at_us), [], 0
    for output in view.outputs:
        numbers, first = given[first : first + output.width], first + output.width
        answer = wanted[output.name]
        if not answer.agrees(numbers):
            text = f"{output.name} at {at_us} us: {numbers}"
            wrong.append(Odd(view.name, key.decode(errors="replace"), text, str(answer.numbers)))
    return Sampled(len(view.outputs), wrong)
