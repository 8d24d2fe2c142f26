"""count_by: one count for each declared category, in their order; other values are not counted."""

from __future__ import annotations

from twinstream.algebra import layout
from twinstream.algebra.slots import Declaration, Form, Slot, Take, Taken


def declare(taken: Taken) -> Declaration:
    categories = tuple(taken.params["categories"])
    width = len(categories)
    return Declaration(
        Form.COUNTS,
        (Slot(layout.TALLY, taken.column(Take.CATEGORY, categories=categories), width),),
        width=width,
    )
