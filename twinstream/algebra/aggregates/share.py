"""share: records that meet the condition over records where it is not null."""

from __future__ import annotations

import math

from twinstream.algebra import layout
from twinstream.algebra.compiled.jit import compiled_late
from twinstream.algebra.merged import Merged, Slots, nothing
from twinstream.algebra.slots import Declaration, Documented, Slot, Take, Taken
from twinstream.define.aggregates import Declared, aggregate
from twinstream.define.recording import Condition

FORM = 7
DOCUMENTED = Documented(
    "`share(condition)`",
    "records for which it is true / records for which it is not null; "
    "a Bool field's name is a condition",
    "null",
)


def share(condition: Condition | str, *, where: Condition | str | None = None) -> Declared:
    """Of the records for which the condition is not null, the part for which it is true.

    A Bool field's name is a condition too.
    """
    field = condition if isinstance(condition, str) else None
    lacks = condition is not None
    params = {"condition": condition}
    return aggregate("share", field, where, may_lack_field=lacks, params=params)


def declare(taken: Taken) -> Declaration:
    met, known = (taken.column(t, of=taken.params["condition"]) for t in (Take.VALUE, Take.ONE))
    return Declaration(FORM, (Slot(layout.ADD64, met), Slot(layout.ADD64, known)))


@compiled_late
def answer(m: Merged, s: Slots) -> float:
    met, known = m.words[s.a], m.words[s.b]
    return math.nan if nothing(known) else met / known
