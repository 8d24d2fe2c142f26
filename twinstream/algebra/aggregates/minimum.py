"""minimum: the least value."""

from __future__ import annotations

from twinstream.algebra import layout
from twinstream.algebra.slots import Declaration, Form, Slot, Take, Taken


def declare(taken: Taken) -> Declaration:
    return Declaration(Form.VALUE, (Slot(layout.MIN, taken.column(Take.VALUE)),), power=1)
