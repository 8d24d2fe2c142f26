"""What is joined: predictions that wait, records of their label, and what came of both."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Literal

import msgspec


class Asked(msgspec.Struct, kw_only=True, eq=False):
    """One prediction that waits for its label, or has it: `label` is what its records say by now,
    and counts only when the question is settled.
    """

    model: str
    release: str
    model_digest: str
    at_us: int
    score: float
    canary: bool = False
    """A candidate answered that answers a share of the keys only."""
    shadow: float = 0.0
    shadow_digest: str = ""
    """What a candidate said of it, "": none was asked."""
    own: Hashable = None
    """The id of its own record, where that may lie among the label's."""
    label: float | None = None
    label_event_us: int | None = None
    """Event time of the record that says so, or the end of the horizon that an aggregate is over;
    None while nothing says anything.
    """
    expired: bool = False
    unjudged: bool = False
    """Its outcome may lie where this service does not read, or a record of it was given up."""


class LabelRow(msgspec.Struct, frozen=True, kw_only=True):
    """One record of a label's source: its `outcome`, NaN when the label's value is null; or, of a
    label that is an aggregate, the integer that is aggregated.
    """

    key: Hashable
    event_us: int
    known_us: int
    outcome: float
    value: int = 0
    own: Hashable = None
    """The record's id, where it may be a question's own."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A prediction's label became known, or changed: `before` is what counted until now;
    `label` None leaves it out again.
    """

    asked: Asked
    label: float | None
    before: float | None
    how: Literal["arrived", "missing", "revised"]
