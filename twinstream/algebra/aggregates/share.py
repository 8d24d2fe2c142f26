"""share: records that meet the condition over records where it is not null."""

from __future__ import annotations

from twinstream.algebra import layout
from twinstream.algebra.slots import Declaration, Form, Slot, Take, Taken


def declare(taken: Taken) -> Declaration:
    condition = taken.params["condition"]
    met, known = (
        Slot(layout.ADD64, taken.column(take, of=condition)) for take in (Take.VALUE, Take.ONE)
    )
    return Declaration(Form.SHARE, (met, known))
