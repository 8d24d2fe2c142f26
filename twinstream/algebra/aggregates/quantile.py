"""quantile: DDSketch with integer-exact buckets; the answer is within 1 % of the value of that rank, exact up to 57 units."""

from __future__ import annotations

from twinstream.algebra import layout
from twinstream.algebra.slots import Declaration, Form, Slot, Take, Taken


def declare(taken: Taken) -> Declaration:
    return Declaration(Form.QUANTILE, (Slot(layout.ADDMAP, taken.column(Take.BUCKET), 0),), power=1, parameter=float(taken.params["q"]))
