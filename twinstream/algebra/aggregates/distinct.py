"""distinct: approximate count of different values, HyperLogLog of 4096 registers; standard error 1.6 %."""

from __future__ import annotations

from twinstream.algebra import layout
from twinstream.algebra.slots import Declaration, Form, Slot, Take, Taken


def declare(taken: Taken) -> Declaration:
    return Declaration(Form.DISTINCT, (Slot(layout.MAXMAP, taken.column(Take.REGISTER), 0),))
