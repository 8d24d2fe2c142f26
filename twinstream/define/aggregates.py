"""Aggregates as users declare them. What they compute, exactly and mergeably, is in twinstream.algebra."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from twinstream.define.durations import window_us
from twinstream.define.expressions import Expr
from twinstream.define.location import Location, here, refuse, shown
from twinstream.define.plain import fitted, listed, number, plain
from twinstream.define.recording import Condition, record, record_condition
from twinstream.define.types import FieldType

ANY_TYPE = frozenset({"count", "count_by", "distinct"})
"""Kinds that take a field of any type; the others take numbers (Int, Decimal, Bool as 0 and 1, Timestamp)."""


@dataclass(frozen=True, eq=False)
class Aggregate:
    """A bound aggregate. `params`: share has `condition` (Expr), last_k `k`, quantile `q`, count_by `categories`.

    Equal when the canonical form is equal. Rows for which `where` is not true do not exist for it.
    """

    kind: str
    field: str | None = None
    where: Expr | None = None
    params: Mapping[str, Any] = dataclasses.field(default_factory=dict)

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

    @property
    def width(self) -> int:
        """Numbers in one answer."""
        if self.kind == "last_k":
            return int(self.params["k"])
        return len(self.params["categories"]) if self.kind == "count_by" else 1


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


@dataclass(frozen=True, eq=False)
class Declared:
    """An aggregate as written, before a view gives it a source."""

    kind: str
    field: str | None
    where: Condition | str | None
    params: Mapping[str, Any]
    at: Location
    windows: tuple[str, ...] = ()

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
        """The feature over a source; refuses fields that it does not have or that are no numbers."""
        what = f"feature {name!r}"
        if not self.windows:
            refuse(f"{what} has no window", f'write {self.kind}(...).over("1h", "24h")', self.at)
        params = dict(self.params)
        if self.kind == "share":
            params["condition"] = record_condition(
                self.params["condition"], fields, owner, f"the condition of {what}", self.at
            )
        if self.field is not None:
            self._check_field(what, fields, owner)
        where = record_condition(self.where, fields, owner, f"where= of {what}", self.at)
        return Feature(name, Aggregate(self.kind, self.field, where, params), self.windows)

    def _check_field(self, what: str, fields: Mapping[str, FieldType], owner: str) -> None:
        assert self.field is not None
        kind = fields[record(self.field, fields, owner, what, self.at).value]
        if self.kind not in ANY_TYPE and not kind.numeric:
            numbers = [name for name, other in fields.items() if other.numeric]
            refuse(
                f"{self.kind} of {what} needs numbers, but {self.field!r} is a {type(kind).__name__}",
                f"take one of {', '.join(numbers)}, or count_by, distinct or count",
                self.at,
            )
        if self.kind == "count_by":
            _check_categories(self.params["categories"], kind, self.field, self.at)


def _declare(kind: str, field: Any, where: Condition | str | None, **params: Any) -> Declared:
    at = here()
    field = plain(field, f"{kind}(...)", at)
    may_lack = kind == "count" or (kind == "share" and params["condition"] is not None)
    if not isinstance(field, str) and not (field is None and may_lack):
        refuse(
            f"{kind} takes the name of a field, not {shown(field)}",
            f"write {kind}('delay_minutes') and where= for a condition",
            at,
        )
    return Declared(kind, field, where, params, at)


def count(field: str | None = None, *, where: Condition | str | None = None) -> Declared:
    """Records; with a field, those whose field is not null."""
    return _declare("count", field, where)


def sum_(field: str, *, where: Condition | str | None = None) -> Declared:
    """Exact sum; null when no value."""
    return _declare("sum", field, where)


def mean(field: str, *, where: Condition | str | None = None) -> Declared:
    """Mean of the values that are not null."""
    return _declare("mean", field, where)


def variance(field: str, *, where: Condition | str | None = None) -> Declared:
    """Population variance of the values that are not null."""
    return _declare("variance", field, where)


def std(field: str, *, where: Condition | str | None = None) -> Declared:
    """Population standard deviation of the values that are not null."""
    return _declare("std", field, where)


def minimum(field: str, *, where: Condition | str | None = None) -> Declared:
    return _declare("minimum", field, where)


def maximum(field: str, *, where: Condition | str | None = None) -> Declared:
    return _declare("maximum", field, where)


def first(field: str, *, where: Condition | str | None = None) -> Declared:
    """The value with the earliest event time; of equal times the one that came first."""
    return _declare("first", field, where)


def last(field: str, *, where: Condition | str | None = None) -> Declared:
    """The value with the latest event time; of equal times the one that came last."""
    return _declare("last", field, where)


def last_k(field: str, k: int, *, where: Condition | str | None = None) -> Declared:
    """The k latest values, newest first, then nulls."""
    k = plain(k, "k of last_k")
    if not isinstance(k, int) or isinstance(k, bool) or not 1 <= k <= 64:
        refuse(
            f"last_k({shown(field)}, {shown(k)}) keeps no count of values",
            "k is a whole number from 1 to 64",
        )
    return _declare("last_k", field, where, k=k)


def share(condition: Condition | str, *, where: Condition | str | None = None) -> Declared:
    """Of the records for which the condition is not null, the part for which it is true. A Bool field's name is a condition too."""
    return _declare(
        "share", condition if isinstance(condition, str) else None, where, condition=condition
    )


def count_by(
    field: str, categories: Sequence[Any], *, where: Condition | str | None = None
) -> Declared:
    """Records of each category, in the order given; other values are not counted."""
    what = f"the categories of count_by({shown(field)})"
    found = () if isinstance(categories, str) else listed(categories, what)
    found = tuple(plain(category, what) for category in found)
    if (
        not 1 <= len(found) <= 64
        or not all(isinstance(c, (bool, int, str)) for c in found)
        or len(set(found)) < len(found)
    ):
        refuse(
            f"count_by({shown(field)}, {shown(categories)}) needs a list of distinct categories",
            "as in count_by('carrier', ['AA', 'UA']): texts, whole numbers, or True and False, at most 64",
        )
    return _declare("count_by", field, where, categories=found)


def distinct(field: str, *, where: Condition | str | None = None) -> Declared:
    """How many different values, by HyperLogLog."""
    return _declare("distinct", field, where)


def quantile(field: str, q: float, *, where: Condition | str | None = None) -> Declared:
    """The q-quantile by DDSketch, 0 < q < 1, with its relative error bound."""
    q = number(q, f"q of quantile({shown(field)})")
    if not 0 < q < 1:
        refuse(
            f"quantile({shown(field)}, {q!r}) is no quantile",
            "q lies between 0 and 1, as in quantile('delay_minutes', 0.9)",
        )
    return _declare("quantile", field, where, q=q)


def _check_categories(categories: Sequence[Any], kind: FieldType, name: str, at: Location) -> None:
    if kind.kind not in {"string", "int", "bool"}:
        refuse(
            f"count_by needs a String, Int or Bool, but {name!r} is a {type(kind).__name__}",
            "take another field, or count with where=",
            at,
        )
    for category in categories:
        fitted(category, kind, f"the categories of count_by({name!r})", at)
