"""JSON values of a field to their stored, cleaned form, quickly:
what is not plain is left to `values` and `cleaned`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twinstream.define.cleaning import Rule
from twinstream.define.fields.base import Convert
from twinstream.define.limits import LIMIT
from twinstream.define.source import Source

Column = Callable[[list[Any]], list[Any]]


class DoubtError(Exception):
    """The quick way does not know: ask the exact one."""


def converter(source: Source, name: str) -> Column:
    """What a list of JSON values of a field becomes, null for None.

    Raises DoubtError for a value that its rules refuse or that only the exact way cleans,
    and RecordError as `values.stored`.
    """
    kind, rules = source.fields[name], source.clean.get(name, ())
    one = kind.quick()
    for rule in rules:
        one = _then(one, _QUICK[rule.name](rule))
    alike = frozenset() if rules or not kind.alike else kind.alike | {type(None)}
    return _of_each(one, alike)


def _of_each(one: Convert, alike: frozenset[type]) -> Column:
    """A list is left as it is where all its values are of these types."""

    def convert(values: list[Any]) -> list[Any]:
        if alike and alike.issuperset(map(type, values)):
            return values
        return list(map(one, values))

    return convert


def _then(convert: Convert, change: Convert) -> Convert:
    return lambda value: change(convert(value))


def _clip(rule: Rule) -> Convert:
    low, high = rule.bounds or (-LIMIT, LIMIT)
    return lambda value: None if value is None else min(max(value, low), high)


def _between(rule: Rule) -> Convert:
    low, high = rule.bounds or (-LIMIT, LIMIT)
    return lambda value: _sure(value, value is None or low <= value <= high)


def _one_of(rule: Rule) -> Convert:
    allowed = {None, *rule.values}
    return lambda value: _sure(value, value in allowed)


def _required(_: Rule) -> Convert:
    return lambda value: _sure(value, value is not None)


def _lower(_: Rule) -> Convert:
    return lambda value: value and _sure(value, value.isascii()).lower()


def _upper(_: Rule) -> Convert:
    return lambda value: value and _sure(value, value.isascii()).upper()


def _strip(_: Rule) -> Convert:
    """Only text that has nothing to strip; which blanks Arrow takes for such is its business."""
    return lambda value: (
        value and _sure(value, value.isascii() and value[0] > " " and value[-1] > " ")
    )


def _sure(value: Any, known: bool) -> Any:  # noqa: FBT001
    if not known:
        raise DoubtError
    return value


_QUICK: dict[str, Callable[[Rule], Convert]] = {
    "clip": _clip,
    "between": _between,
    "one_of": _one_of,
    "required": _required,
    "lower": _lower,
    "upper": _upper,
    "strip": _strip,
}
