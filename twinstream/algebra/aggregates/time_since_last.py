"""time_since_last: seconds from the latest record to the question."""

from __future__ import annotations

import math

from twinstream.algebra import layout
from twinstream.algebra.compiled.jit import compiled_late
from twinstream.algebra.layout import LOWEST, MOMENT, MOMENT_TIME
from twinstream.algebra.merged import Merged, Slots
from twinstream.algebra.slots import Declaration, Documented, Slot, Take, Taken
from twinstream.define.aggregates import Declared, aggregate
from twinstream.define.recording import Condition

FORM = 11
SECOND_US = 1e6
DOCUMENTED = Documented(
    "`time_since_last()`, `time_since_last(field)`",
    "seconds from the event time of the latest record (whose field is not null) to the question; "
    "negative when that record is later than the question",
    "null",
)


def time_since_last(field: str | None = None, *, where: Condition | str | None = None) -> Declared:
    """Seconds since the latest record; with a field, since the latest whose field is not null."""
    return aggregate("time_since_last", field, where, any_type=True, may_lack_field=True)


def declare(taken: Taken) -> Declaration:
    slot = Slot(layout.LAST, taken.column(Take.ONE), MOMENT)
    return Declaration(FORM, (slot,), by_moment=True)


@compiled_late
def answer(m: Merged, s: Slots) -> float:
    """Floats hold the microseconds of every moment of a record exactly, and a question may be about
    any moment.
    """
    last = m.words[s.a + MOMENT_TIME]
    since = (float(m.at_us) - float(last)) / SECOND_US
    return math.nan if last == LOWEST else since
