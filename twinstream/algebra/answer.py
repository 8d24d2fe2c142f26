"""State words to floats: the one meaning of every answer, run by the fold, the kernel and the
reader alike. NaN is null.
"""

# ruff: noqa: PLR0917 (compiled loops take their arrays by position)
from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinstream.algebra.compiled.answers import answer_of_form
from twinstream.algebra.compiled.jit import compiled
from twinstream.algebra.compiled.rows import sparse_at
from twinstream.algebra.merged import Merged, Slots
from twinstream.algebra.tables import (
    ANSWER_AT,
    DENOMINATOR,
    FIXED_WORDS,
    FORM,
    NUMERATOR,
    OUTPUTS,
    OUTPUTS_END,
    PLACE_A,
    PLACE_B,
    PLACE_C,
    WIDTH,
    Tables,
)

Words = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@compiled
def answer(
    t: Tables, hop: int, window: int, at_us: int, words: Words, row: int, out: Floats
) -> None:
    """Write the outputs of a window of a hop, at a moment, from the row at `row` that merges its
    tiles.
    """
    fixed, outputs = t.hops[hop, FIXED_WORDS], t.outputs
    merged = Merged(words, at_us, t.stands_for)
    for i in range(t.windows[window, OUTPUTS], t.windows[window, OUTPUTS_END]):
        a = begin(words, row, fixed, outputs[i, PLACE_A])
        b, c = row + outputs[i, PLACE_B], row + outputs[i, PLACE_C]
        q = outputs[i, NUMERATOR], outputs[i, DENOMINATOR]
        for k in range(outputs[i, WIDTH]):
            slots = Slots(a, b, c, t.divisors[i], q[0], q[1], k)
            out[outputs[i, ANSWER_AT] + k] = answer_of_form(outputs[i, FORM], merged, slots)


@compiled
def begin(words: Words, row: int, fixed_words: int, place: int) -> int:
    """Where a slot begins, by its place in the plan's table of outputs."""
    return row + place if place >= 0 else sparse_at(words, row, fixed_words, ~place)
