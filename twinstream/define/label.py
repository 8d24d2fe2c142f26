"""A label: the outcome that belongs to a question, from a source whose records come later."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np

from twinstream.define.aggregates import Declared
from twinstream.define.comparison import Comparison
from twinstream.define.durations import microseconds
from twinstream.define.expressions import Expr
from twinstream.define.location import did_you_mean, here, refuse, shown
from twinstream.define.names import check_column
from twinstream.define.outcome import OutcomeAggregate, bound_outcome
from twinstream.define.plain import listed, name_of, number
from twinstream.define.recording import Condition, record
from twinstream.define.source import Source

Settles = Literal["horizon", "at once"]
"""When a question has its label: once its horizon has passed, or as soon as a record is known."""


class Label:
    """Declares a label: `value` of the record of `source` that has the spine row's `on` and whose
    event time lies within `horizon` after the question.

    Of several such records the latest by event time counts. `value` may be an aggregate instead,
    or a comparison of one with a number: over all such records of (t, t + horizon], but the
    question's own. `missing`: the label when there is no record, or the value is null; None leaves
    the row out.
    A question is labelled when its horizon has passed, so that no label is known sooner than
    another. `settles="at once"`: as soon as a record is known. Only where a record decides both
    outcomes and comes no sooner for one than for the other.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        *,
        on: str | tuple[str, ...],
        horizon: str,
        value: Condition | str | Declared | Comparison,
        missing: float | None = None,
        settles: Settles = "horizon",
    ) -> None:
        self.at = here()
        self.name = check_column(name, "label")
        if not isinstance(source, Source):
            refuse(
                f"label {name!r} comes from {shown(source)}, not from a source",
                "give the Source whose records carry the outcome",
            )
        self.source = source
        self.on = self._checked_on(on)
        self.horizon_us = microseconds(horizon, "horizon")
        self.horizon = name_of(horizon)
        self.value: Expr | OutcomeAggregate = self._checked_value(value)
        self.missing: float | None = None if missing is None else self._checked_missing(missing)
        self.settles = self._checked_settles(settles)

    def _checked_on(self, given: str | tuple[str, ...]) -> tuple[str, ...]:
        """The fields that a question and its outcome share."""
        fields: tuple[str, ...] = listed(given, f"on= of label {self.name!r}")
        if not fields:
            refuse(
                f"label {self.name!r} joins on nothing",
                "name the field, or fields, that a question and its outcome share",
            )
        for field in fields:
            if not isinstance(field, str) or field not in self.source.fields:
                refuse(
                    f"label {self.name!r} joins on {shown(field)}, which is not in "
                    f"{self.source.owner}",
                    did_you_mean(field, self.source.fields),
                )
        if len(set(fields)) < len(fields):
            refuse(f"label {self.name!r} names a field twice: {fields}", "name each once")
        return fields

    @property
    def at_once(self) -> bool:
        """Whether a known record settles a question before its horizon has passed."""
        return self.settles == "at once"

    @property
    def binary(self) -> bool:
        """Whether the outcome is true or false."""
        return self.value.kind == "bool"

    def _checked_value(self, value: Any) -> Expr | OutcomeAggregate:
        what, source = f"value of label {self.name!r}", self.source
        if isinstance(value, (Declared, Comparison)):
            return bound_outcome(value, source.fields, source.owner, what)
        found = record(value, source.fields, source.owner, what, self.at)
        if found.kind not in {"bool", "number"}:
            refuse(f"{what} is {found!r}, a {found.kind}", "give a condition or a number")
        return found

    def _checked_missing(self, missing: Any) -> float:
        what = f"missing= of label {self.name!r}"
        truth = self.binary and isinstance(missing, (bool, np.bool_))
        found = float(missing) if truth else number(missing, what)
        if self.binary and found not in {0.0, 1.0}:
            refuse(
                f"{what} is {shown(missing)}, but the label is a condition",
                "give True or False, or None to leave such rows out",
            )
        return found

    def _checked_settles(self, settles: Any) -> str:
        if not isinstance(settles, str) or settles not in get_args(Settles):
            refuse(
                f"settles= of label {self.name!r} is {shown(settles)}",
                "give 'horizon', or 'at once' where a record decides both outcomes and comes no "
                "sooner for one than for the other",
            )
        if settles == "at once" and isinstance(self.value, OutcomeAggregate):
            refuse(
                f"label {self.name!r} settles at once, but is over all records of its horizon",
                "leave settles= out: such a label is known when its horizon has passed",
            )
        return str.__str__(settles)

    def canonical(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "source": self.source.name,
            "on": list(self.on),
            "horizon_us": self.horizon_us,
            "value": self.value.canonical()
            if isinstance(self.value, OutcomeAggregate)
            else str(self.value),
            "missing": self.missing,
            "settles": self.settles,
        }

    def __repr__(self) -> str:
        return f"Label({self.name!r})"
