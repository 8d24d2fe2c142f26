"""quantile: DDSketch with integer-exact buckets; the answer is within 1 % of the value of that rank, exact up to 57 units."""

from __future__ import annotations

from fractions import Fraction

from twinstream.algebra import layout
from twinstream.algebra.slots import Declaration, Form, Slot, Take, Taken

MOST_VALUES = 2**62


def declare(taken: Taken) -> Declaration:
    values = Slot(layout.ADDMAP, taken.column(Take.BUCKET), 0)
    q = as_written(taken.params["q"])
    return Declaration(Form.QUANTILE, (values,), power=1, parameter=below(q, MOST_VALUES))


def as_written(q: float) -> Fraction:
    """The decimal that the user wrote: 0.29, not the binary fraction beside it."""
    return Fraction(repr(float(q)))


def below(q: Fraction, most: int) -> Fraction:
    """The greatest fraction that is at most q, with a denominator of at most `most`.

    No fraction with such a denominator lies between the two, so floor(q m) is the same for every m up to `most`.
    """
    near = q.limit_denominator(most)
    if near <= q:
        return near
    # The neighbour p/d of a/b among these fractions has a d - b p = 1, and the greatest such d.
    d = pow(near.numerator, -1, near.denominator)
    d += (most - d) // near.denominator * near.denominator
    return Fraction((near.numerator * d - 1) // near.denominator, d)
