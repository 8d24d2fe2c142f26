"""Aggregates as users declare them. What they compute, exactly and mergeably, is in
twinstream.algebra.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import msgspec

from twinstream.define.comparison import Comparable
from twinstream.define.durations import window_us
from twinstream.define.expressions import Expr
from twinstream.define.fields.base import FieldType
from twinstream.define.location import Location, here, refuse, shown
from twinstream.define.plain import listed, plain
from twinstream.define.recording import Condition, record, record_condition


@dataclass(frozen=True, eq=False)
class Aggregate:
    """A bound aggregate. `params`: share has `condition` (Expr), last_k `k`, quantile `q`,
    count_by `categories`.

    Equal when the canonical form is equal. Rows for which `where` is not true do not exist for it.
    """

    kind: str
    field: str | None = None
    where: Expr | None = None
    params: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    width: int = 1
    """Numbers in one answer."""

    def canonical(self) -> dict[str, Any]:
        params = {
            name: str(value) if isinstance(value, Expr) else value
            for name, value in self.params.items()
        }
        return {
            "kind": self.kind,
            "field": self.field,
            "where": None if self.where is None else str(self.where),
            "params": params,
        }

    @property
    def text(self) -> str:
        """Canonical JSON: equal for equal aggregates."""
        return msgspec.json.encode(self.canonical(), order="sorted").decode()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Aggregate) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


@dataclass(frozen=True)
class Feature:
    """A named aggregate of a view over its windows ("1h", "30d", "all")."""

    name: str
    aggregate: Aggregate
    windows: tuple[str, ...]

    def canonical(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "aggregate": self.aggregate.canonical(),
            "windows": list(self.windows),
        }


class Bound(NamedTuple):
    """The field that an aggregate meets in a source, for the checks of its own."""

    field: str
    type: FieldType
    params: Mapping[str, Any]
    at: Location


@dataclass(frozen=True, eq=False)
class Declared(Comparable):
    """An aggregate as written, before a view or a label gives it a source."""

    kind: str
    field: str | None
    where: Condition | str | None
    at: Location
    params: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    any_type: bool = False
    """Whether it takes a field of any type; others take numbers (Int, Decimal, Timestamp,
    Bool as 0 and 1).
    """
    width: int = 1
    check: Callable[[Bound], None] | None = None
    windows: tuple[str, ...] = ()
    label_only: bool = False
    """Whether it looks from the question on, so that no view can have it."""

    def over(self, *windows: str) -> Declared:
        """The same aggregate over these windows, each ending at the moment of the question."""
        at = here()
        windows = listed(windows, "the windows of over(...)", at)
        for window in windows:
            window_us(window)
        if not windows:
            refuse(
                f"{self.kind}(...).over() names no window",
                'name one or more, as in .over("1h", "30d", "all")',
                at,
            )
        if len(set(windows)) < len(windows):
            refuse(f"a window is named twice in .over{windows}", "name each once", at)
        return replace(self, windows=windows)

    def bind(self, name: str, fields: Mapping[str, FieldType], owner: str) -> Feature:
        """The feature over a source; refuses fields that it does not have or that are not
        numbers.
        """
        what = f"feature {name!r}"
        if self.label_only:
            refuse(
                f"{what} is {self.kind}(...), which looks from the question on",
                "only a label can: give it to value= of a Label",
                self.at,
            )
        if not self.windows:
            refuse(f"{what} has no window", f'write {self.kind}(...).over("1h", "24h")', self.at)
        return Feature(name, self.bound(what, fields, owner), self.windows)

    def bound(self, what: str, fields: Mapping[str, FieldType], owner: str) -> Aggregate:
        """The aggregate over a source, as `bind` of what messages call `what`."""
        params = dict(self.params)
        if "condition" in params:
            params["condition"] = record_condition(
                params["condition"], fields, owner, f"the condition of {what}", self.at
            )
        if self.field is not None:
            self._check_field(self.field, what, fields, owner)
        where = record_condition(self.where, fields, owner, f"where= of {what}", self.at)
        return Aggregate(self.kind, self.field, where, params, self.width)

    def _check_field(
        self,
        field: str,
        what: str,
        fields: Mapping[str, FieldType],
        owner: str,
    ) -> None:
        kind = fields[record(field, fields, owner, what, self.at).value]
        if not self.any_type and not kind.numeric:
            numbers = [name for name, other in fields.items() if other.numeric]
            refuse(
                f"{self.kind} of {what} needs numbers, but {field!r} is a {type(kind).__name__}",
                f"take one of {', '.join(numbers)}, or count_by, distinct or count",
                self.at,
            )
        if self.check is not None:
            self.check(Bound(field, kind, self.params, self.at))


def aggregate(
    kind: str,
    field: Any,
    where: Condition | str | None,
    *,
    may_lack_field: bool = False,
    **more: Any,
) -> Declared:
    """What a constructor returns; `more` are fields of `Declared`."""
    at = here()
    field = plain(field, f"{kind}(...)", at)
    if not isinstance(field, str) and not (field is None and may_lack_field):
        refuse(
            f"{kind} takes the name of a field, not {shown(field)}",
            f"write {kind}('delay_minutes') and where= for a condition",
            at,
        )
    return Declared(kind, field, where, at, **more)
