"""mean: the exact sum over the exact count, rounded once."""

from __future__ import annotations

from twinstream.algebra.slots import Declaration, Form, Taken


def declare(taken: Taken) -> Declaration:
    return Declaration(Form.MEAN, (taken.total(), taken.count()), power=1)
