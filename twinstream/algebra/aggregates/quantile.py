"""quantile: DDSketch with integer-exact buckets; within 1 % of the value of that rank, exact up to
57 units.
"""

from __future__ import annotations

import math
from fractions import Fraction

from twinstream.algebra import layout
from twinstream.algebra.compiled.jit import compiled_late
from twinstream.algebra.compiled.wide import exceeds
from twinstream.algebra.layout import COUNT_BITS, COUNT_MASK, FULL_ENTRY
from twinstream.algebra.merged import Merged, Slots, Words, entries
from twinstream.algebra.slots import Declaration, Documented, Slot, Take, Taken
from twinstream.define.aggregates import Declared, aggregate
from twinstream.define.location import refuse, shown
from twinstream.define.plain import number
from twinstream.define.recording import Condition

FORM = 9
MOST_VALUES = 2**62
DOCUMENTED = Documented(
    "`quantile(field, q)`",
    "the value of rank floor(q (n - 1)) from 0, exactly, with q as it is written (0.29 is 29/100), "
    "within 1 % of it; exact for magnitudes up to 57 units of the last decimal place",
    "null",
)


def quantile(field: str, q: float, *, where: Condition | str | None = None) -> Declared:
    """The q-quantile by DDSketch, 0 < q < 1, with its relative error bound."""
    q = number(q, f"q of quantile({shown(field)})")
    if not 0 < q < 1:
        refuse(
            f"quantile({shown(field)}, {q!r}) is not a quantile",
            "q lies between 0 and 1, as in quantile('delay_minutes', 0.9)",
        )
    return aggregate("quantile", field, where, params={"q": q})


def declare(taken: Taken) -> Declaration:
    values = Slot(layout.ADDMAP, taken.column(Take.BUCKET), 0)
    q = as_written(taken.params["q"])
    return Declaration(FORM, (values,), power=1, parameter=below(q, MOST_VALUES))


@compiled_late
def answer(m: Merged, s: Slots) -> float:
    """What stands for the bucket that holds the value of the rank."""
    found = ranked(entries(m.words, s.a), s.numerator, s.denominator)
    return math.nan if found < 0 else m.stands_for[found] / s.divisor


@compiled_late
def ranked(buckets: Words, numerator: int, denominator: int) -> int:
    """The id of the bucket with the value of rank floor(q * (n - 1)), from 0; -1 for none, or when
    a bucket is full.
    """
    n, most = 0, 0
    for entry in buckets:
        n += entry & COUNT_MASK
        most = max(most, entry & COUNT_MASK)
    rank = rank_of(numerator, denominator, n - 1) if most < FULL_ENTRY else n
    for entry in buckets:
        rank -= entry & COUNT_MASK
        if rank < 0:
            return entry >> COUNT_BITS
    return -1


@compiled_late
def rank_of(numerator: int, denominator: int, last: int) -> int:
    """Exactly floor(numerator * last / denominator): floats come near, products of 128 bits decide."""
    if last <= 2**62 // max(numerator, 1):
        return numerator * last // denominator
    rank = int(numerator / denominator * last)
    while exceeds(rank, denominator, numerator, last):
        rank -= 1
    while not exceeds(rank + 1, denominator, numerator, last):
        rank += 1
    return rank


def as_written(q: float) -> Fraction:
    """The decimal that the user wrote: 0.29, not the binary fraction beside it."""
    return Fraction(repr(float(q)))


def below(q: Fraction, most: int) -> Fraction:
    """The greatest fraction that is at most q, with a denominator of at most `most`.

    No fraction with such a denominator lies between the two, so floor(q m) is the same for every m
    up to `most`.
    """
    near = q.limit_denominator(most)
    if near <= q:
        return near
    # The neighbour p/d of a/b among these fractions has a d - b p = 1, and the greatest such d.
    d = pow(near.numerator, -1, near.denominator)
    d += (most - d) // near.denominator * near.denominator
    return Fraction((near.numerator * d - 1) // near.denominator, d)
