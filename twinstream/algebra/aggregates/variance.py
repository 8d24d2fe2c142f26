"""variance of the population (n), from exact sums."""

from __future__ import annotations

from twinstream.algebra.slots import Declaration, Form, Taken


def declare(taken: Taken) -> Declaration:
    return Declaration(Form.VARIANCE, (taken.total(), taken.count(), taken.squares()), power=2)
