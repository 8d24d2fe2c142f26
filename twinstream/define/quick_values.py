"""JSON values of a field to their stored, cleaned form, quickly:
what is not plain is left to `values` and `cleaned`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from twinstream.define.cleaning import Rule
from twinstream.define.source import Source
from twinstream.define.types import LIMIT, FieldType
from twinstream.define.values import FIRST_US, LAST_US, stored

Convert = Callable[[Any], Any]
Column = Callable[[list[Any]], list[Any]]
EXACT = 1 << 53
"""Whole numbers up to here are exact as floats."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN_TIME = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)", re.ASCII
)


class DoubtError(Exception):
    """The quick way does not know: ask the exact one."""


def converter(source: Source, name: str) -> Column:
    """What a list of JSON values of a field becomes, null for None.

    Raises DoubtError for a value that its rules refuse or that only the exact way cleans,
    and RecordError as `values.stored`.
    """
    kind, rules = source.fields[name], source.clean.get(name, ())
    one = _PLAIN[kind.kind](kind)
    for rule in rules:
        one = _then(one, _QUICK[rule.name](rule))
    plain = None if rules else _ALIKE.get(kind.kind)

    def convert(values: list[Any]) -> list[Any]:
        if plain is not None and plain(values):
            return values
        return list(map(one, values))

    return convert


def _texts(values: list[Any]) -> bool:
    """Whether all of a column is stored as it is."""
    return _NONE_OR_TEXT.issuperset(map(type, values))


def _bools(values: list[Any]) -> bool:
    return _NONE_OR_BOOL.issuperset(map(type, values))


_NONE_OR_TEXT = frozenset((type(None), str))
_NONE_OR_BOOL = frozenset((type(None), bool))
_ALIKE: dict[str, Callable[[list[Any]], bool]] = {"string": _texts, "bool": _bools}


def _then(convert: Convert, change: Convert) -> Convert:
    return lambda value: change(convert(value))


def _text(kind: FieldType) -> Convert:
    return lambda value: value if type(value) is str or value is None else stored(kind, value)


def _bool(kind: FieldType) -> Convert:
    return lambda value: value if type(value) is bool or value is None else stored(kind, value)


def _whole(kind: FieldType) -> Convert:
    def convert(value: Any) -> Any:
        if type(value) is int and -LIMIT <= value <= LIMIT:
            return value
        return stored(kind, value)

    return convert


def _time(kind: FieldType) -> Convert:
    def convert(value: Any) -> Any:
        if type(value) is int and FIRST_US <= value <= LAST_US:
            return value
        if type(value) is str and _PLAIN_TIME.fullmatch(value):
            return _microseconds(kind, value)
        return stored(kind, value)

    return convert


def _microseconds(kind: FieldType, text: str) -> int:
    try:
        since = datetime.fromisoformat(text) - _EPOCH
    except (ValueError, OverflowError):
        return int(stored(kind, text))
    us = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return us if FIRST_US <= us <= LAST_US else int(stored(kind, text))


def _decimal(kind: FieldType) -> Convert:
    """A float stands for its shortest text: `units` is that number exactly when it divides back to
    the same float.
    """
    one = 10**kind.places

    def convert(value: Any) -> Any:
        if type(value) is int and -EXACT < value * one < EXACT:
            return value * one
        if type(value) is float and -EXACT < value * one < EXACT:
            units = round(value * one)
            if units / one == value and abs(units) < 10**15:
                return units
        return stored(kind, value)

    return convert


_PLAIN: dict[str, Callable[[FieldType], Convert]] = {
    "string": _text,
    "bool": _bool,
    "int": _whole,
    "timestamp": _time,
    "decimal": _decimal,
}


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
