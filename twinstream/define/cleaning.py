"""Cleaning rules of a source's fields: some change a value, some refuse the record.
The same for live records and files.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal as Exact
from typing import Any

from twinstream.define.fields.base import FieldType, Input
from twinstream.define.location import did_you_mean, refuse, shown
from twinstream.define.plain import MOST_DIGITS, fitted, listed, mapping, plain

NumberOrDate = float | str | date
"""A number, or a date as ISO text or Python's own."""


@dataclass(frozen=True)
class Rule:
    """One rule of one field. `bounds` and `values` are in stored form (decimals scaled)."""

    name: str
    bounds: tuple[int, int] | None = None
    values: tuple[Any, ...] = ()
    text: str = ""

    def canonical(self) -> str:
        return self.text


@dataclass(frozen=True)
class Written:
    """A rule as users write it, before it is bound to a field."""

    name: str
    args: tuple[Any, ...] = ()

    def __str__(self) -> str:
        """For messages: long values are cut."""
        return self._text(shown)

    def canonical(self) -> str:
        """Whole: different rules have different texts. Of values that a field can hold."""
        return self._text(repr)

    def _text(self, show: Callable[[object], str]) -> str:
        texts = (_digits(arg, show) if isinstance(arg, Exact) else show(arg) for arg in self.args)
        return f"{self.name}({', '.join(texts)})" if self.args else self.name


def _digits(value: Exact, show: Callable[[object], str]) -> str:
    """As users write it; a number of more digits than any field holds is shown short."""
    return format(value, "f") if abs(value.adjusted()) <= MOST_DIGITS else show(value)


def clip(low: NumberOrDate, high: NumberOrDate) -> Written:
    """Numbers and dates below `low` become `low`, above `high` become `high`."""
    return _written("clip", low, high)


def between(low: NumberOrDate, high: NumberOrDate) -> Written:
    """Refuses the record when the number or date lies outside; null passes."""
    return _written("between", low, high)


def one_of(*values: Any) -> Written:
    """Refuses the record when the value is none of these; null passes."""
    return _written("one_of", *values)


def _written(name: str, *values: Any) -> Written:
    return Written(name, tuple(plain(value, f"a value of {name}(...)") for value in values))


required = Written("required")
"""Refuses the record when the value is null."""
lower = Written("lower")
"""Text in lower case."""
upper = Written("upper")
"""Text in upper case."""
strip = Written("strip")
"""Text without blanks at both ends."""

_ARGUMENTS = {
    "clip": 2,
    "between": 2,
    "one_of": None,
    "required": 0,
    "lower": 0,
    "upper": 0,
    "strip": 0,
}


def bind_rules(
    clean: Mapping[str, Any], fields: Mapping[str, FieldType], owner: str
) -> dict[str, tuple[Rule, ...]]:
    """Rules by field, each checked against the field's type; a rule is a string, an object,
    or a list of them.
    """
    bound = {}
    for name, rules in mapping(clean, f"clean= of {owner}").items():
        if name not in fields:
            refuse(
                f"clean names field {shown(name)}, which is not in {owner}",
                did_you_mean(name, fields),
            )
        written = listed(rules, f"the rules of {name!r}")
        bound[name] = tuple(_bound(rule, name, fields[name]) for rule in written)
    return bound


def _bound(rule: Any, name: str, kind: FieldType) -> Rule:
    return rule if isinstance(rule, Rule) else _bind(_parse(rule), name, kind)


def _parse(rule: Any) -> Written:
    """A rule from its text, by Python's own parser; nothing is run."""
    if isinstance(rule, Written):
        return rule
    try:
        if (found := _of_tree(ast.parse(rule, mode="eval").body)) is not None:
            return found
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        pass
    return refuse(
        f"{shown(rule)} is not a cleaning rule",
        'write "clip(0, 200)", "between(0, 1)", "one_of(\'a\', \'b\')", "required", "lower", '
        '"upper" or "strip"',
    )


def _of_tree(tree: ast.expr) -> Written | None:
    if isinstance(tree, ast.Name):
        return Written(tree.id)
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and not tree.keywords:
        return _written(tree.func.id, *(ast.literal_eval(arg) for arg in tree.args))
    return None


def _bind(rule: Written, name: str, kind: FieldType) -> Rule:
    _check_arguments(rule, name)
    if rule.name in {"clip", "between"}:
        return Rule(rule.name, _bounds(rule, name, kind), (), rule.canonical())
    if rule.name in {"lower", "upper", "strip"}:
        _check_text(rule, name, kind)
    values = tuple(fitted(value, kind, f"{rule} on field {name!r}") for value in rule.args)
    return Rule(rule.name, None, values, rule.canonical())


def _check_text(rule: Written, name: str, kind: FieldType) -> None:
    if kind.input is not Input.TEXT:
        refuse(
            f"{rule} is for text, but field {name!r} is a {type(kind).__name__}",
            "take the rule away",
        )


def _check_arguments(rule: Written, name: str) -> None:
    """That there is such a rule, and that it has as many arguments as it takes."""
    if rule.name not in _ARGUMENTS:
        refuse(
            f"{rule} on field {name!r} is not a cleaning rule", did_you_mean(rule.name, _ARGUMENTS)
        )
    wanted = _ARGUMENTS[rule.name]
    if (wanted is None and not rule.args) or (wanted is not None and len(rule.args) != wanted):
        refuse(
            f"{rule} on field {name!r} has {len(rule.args)} arguments",
            f"{rule.name} takes {'at least one' if wanted is None else wanted}",
        )


def _bounds(rule: Written, name: str, kind: FieldType) -> tuple[int, int]:
    if not kind.ranged:
        refuse(
            f"{rule} is for numbers and dates, but field {name!r} is a {type(kind).__name__}",
            "use one_of for text, or take the rule away",
        )
    low, high = (fitted(value, kind, f"{rule} on field {name!r}") for value in rule.args)
    if low > high:
        refuse(
            f"{rule} on field {name!r}: the lower bound is above the upper one",
            f"write {Written(rule.name, rule.args[::-1])}",
        )
    return low, high
