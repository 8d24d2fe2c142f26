"""Drops the rows of states that lie before the part of time which a batch view keeps whole. A hot loop: it sees every row of every view."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from twinstream.algebra import kernel, windows
from twinstream.algebra.compiled.jit import compiled
from twinstream.algebra.layout import HALF_HOP, HOP_SHIFT
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch

Words = npt.NDArray[np.int64]
SLACK_US = (windows.DAY_US, 7 * windows.DAY_US, 30 * windows.DAY_US, 0)
"""How long tiles stay beyond the longest window of their hop, so that a question about a while ago is still answered."""


def complete_since(plan: ViewPlan, as_of_us: int) -> dict[int, int]:
    """The first tile of each hop in use that a base as of this moment holds."""
    longest = {
        hop.hop: max(windows.length_us(window) for window in hop.windows) for hop in plan.hops
    }
    return {
        hop: windows.tile_of(hop, as_of_us - length - SLACK_US[hop])
        for hop, length in longest.items()
    }


def reaches(before: Mapping[int, int], since: Mapping[int, int]) -> bool:
    """Whether a base that is whole from `before` on can become one that is whole from `since` on.

    It cannot when time went back: after a wrong clock had moved it ahead, tiles are gone that are needed again.
    """
    return all(before.get(hop, kernel.EVERYTHING) <= first for hop, first in since.items())


def first_tiles(since: Mapping[int, int]) -> Words:
    """int64[4]: the first tile that is kept of each hop."""
    return np.array([since.get(hop, kernel.EVERYTHING) for hop in range(4)], np.int64)


def prune(states: StateBatch, since: Mapping[int, int]) -> StateBatch:
    """The states without the rows of earlier tiles; keys that keep no row are left out."""
    if not len(states):
        return states
    words, offsets = _kept(states.words, states.offsets, first_tiles(since))
    if len(words) == len(states.words):
        return states
    alive = np.flatnonzero(np.diff(offsets))
    return StateBatch(states.key_data, states.key_offsets, offsets, words).take(alive)


@compiled
def _kept(
    words: Words,
    offsets: Words,
    first: Words,
) -> tuple[Words, Words]:
    out = np.empty(len(words), np.int64)
    ends = np.zeros(len(offsets), np.int64)
    n = 0
    for k in range(len(offsets) - 1):
        row = offsets[k]
        while row < offsets[k + 1]:
            size = words[row + 1]
            hop = (words[row] + HALF_HOP) >> HOP_SHIFT
            if words[row] - (hop << HOP_SHIFT) >= first[hop]:
                out[n : n + size] = words[row : row + size]
                n += size
            row += size
        ends[k + 1] = n
    return out[:n].copy(), ends
