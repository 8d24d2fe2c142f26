"""count: records in the window; of a field, records where it is not null."""

from __future__ import annotations

from twinstream.algebra.compiled.jit import compiled_late
from twinstream.algebra.merged import Merged, Slots, counted
from twinstream.algebra.slots import Declaration, Documented, Taken
from twinstream.define.aggregates import Declared, aggregate
from twinstream.define.recording import Condition

FORM = 0
DOCUMENTED = Documented(
    "`count()`, `count(field)`", "records; records whose field is not null", "0"
)


def count(field: str | None = None, *, where: Condition | str | None = None) -> Declared:
    """Records; with a field, those whose field is not null."""
    return aggregate("count", field, where, any_type=True, may_lack_field=True)


def declare(taken: Taken) -> Declaration:
    return Declaration(FORM, (taken.count(),))


@compiled_late
def answer(m: Merged, s: Slots) -> float:
    return counted(m.words[s.a])
