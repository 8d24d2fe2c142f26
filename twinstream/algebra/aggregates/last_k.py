"""last_k: the k latest values, newest first, then nulls."""

from __future__ import annotations

import math

from twinstream.algebra import layout
from twinstream.algebra.compiled.jit import compiled_late
from twinstream.algebra.layout import HIGHEST, LOWEST, MOMENT, MOMENT_TIME, MOMENT_VALUE
from twinstream.algebra.merged import Merged, Slots
from twinstream.algebra.slots import Declaration, Documented, Slot, Take, Taken
from twinstream.define.aggregates import Declared, aggregate
from twinstream.define.location import refuse, shown
from twinstream.define.plain import plain
from twinstream.define.recording import Condition

FORM = 6
MOST = 64
DOCUMENTED = Documented(
    "`last_k(field, k)`", "the k latest values, newest first", "nulls at the end"
)


def last_k(field: str, k: int, *, where: Condition | str | None = None) -> Declared:
    """The k latest values, newest first, then nulls."""
    k = plain(k, "k of last_k")
    if not isinstance(k, int) or isinstance(k, bool) or not 1 <= k <= MOST:
        refuse(
            f"last_k({shown(field)}, {shown(k)}) keeps no count of values",
            f"k is a whole number from 1 to {MOST}",
        )
    return aggregate("last_k", field, where, width=k, params={"k": k})


def declare(taken: Taken) -> Declaration:
    k = int(taken.params["k"])
    slot = Slot(layout.LASTK, taken.column(Take.VALUE), MOMENT * k)
    return Declaration(FORM, (slot,), power=1, width=k)


@compiled_late
def answer(m: Merged, s: Slots) -> float:
    """The value of moment k; null where there is none."""
    at = s.a + MOMENT * s.k
    absent = m.words[at + MOMENT_TIME] in (HIGHEST, LOWEST)
    return math.nan if absent else m.words[at + MOMENT_VALUE] / s.divisor
