"""first: the value of the earliest record that has one; ties in event time go by position."""

from __future__ import annotations

from twinstream.algebra import layout
from twinstream.algebra.slots import Declaration, Form, Slot, Take, Taken


def declare(taken: Taken) -> Declaration:
    return Declaration(Form.MOMENT, (Slot(layout.FIRST, taken.column(Take.VALUE), 3),), power=1)
