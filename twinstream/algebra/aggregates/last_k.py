"""last_k: the k latest values, newest first, then nulls."""

from __future__ import annotations

from twinstream.algebra import layout
from twinstream.algebra.slots import Declaration, Form, Slot, Take, Taken


def declare(taken: Taken) -> Declaration:
    k = int(taken.params["k"])
    return Declaration(
        Form.MOMENT, (Slot(layout.LASTK, taken.column(Take.VALUE), 3 * k),), power=1, width=k
    )
