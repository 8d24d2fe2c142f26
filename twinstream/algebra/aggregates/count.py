"""count: records in the window; of a field, records where it is not null."""

from __future__ import annotations

from twinstream.algebra.slots import Declaration, Form, Taken


def declare(taken: Taken) -> Declaration:
    return Declaration(Form.COUNT, (taken.count(),))
