"""sum: exact to 128 bits; null when nothing was summed."""

from __future__ import annotations

from twinstream.algebra.slots import Declaration, Form, Taken


def declare(taken: Taken) -> Declaration:
    return Declaration(Form.SUM, (taken.total(), taken.count()), power=1)
