"""What an expression means, written a second time from `docs/definition.md`:
exact fractions, one record at a time, no shared kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

from twinstream.define.expressions import Expr

LIMIT = 2**62
Record = Mapping[str, Any]
_START = datetime(1970, 1, 1, tzinfo=UTC)

_TWO: dict[str, Callable[[Any, Any], Any]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "&": lambda a, b: a and b,
    "|": lambda a, b: a or b,
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
}
_ONE: dict[str, Callable[[Any], Any]] = {
    "~": lambda a: not a,
    "hour": lambda us: _moment(us).hour,
    "minute_of_day": lambda us: 60 * _moment(us).hour + _moment(us).minute,
    "weekday": lambda us: _moment(us).weekday(),
    "month": lambda us: _moment(us).month,
    "day_of_year": lambda us: _moment(us).timetuple().tm_yday,
    "minutes": lambda us: timedelta(microseconds=us) // timedelta(minutes=1),
    "hours": lambda us: timedelta(microseconds=us) // timedelta(hours=1),
    "days": lambda us: timedelta(microseconds=us) // timedelta(days=1),
}
_OF_DATE: dict[str, Callable[[int], int]] = {
    "weekday": lambda days: _date(days).weekday(),
    "month": lambda days: _date(days).month,
    "day_of_year": lambda days: _date(days).timetuple().tm_yday,
}


def value(expr: Expr, record: Record) -> Any:
    """What it is worth for a record: a number as a fraction in its own unit, None for null."""
    stack: list[Any] = []
    for node in expr.steps:
        first = len(stack) - len(node.args)
        args = stack[first:]
        del stack[first:]
        stack.append(_node(node, record, args))
    return stack[0]


def _node(
    expr: Expr,
    record: Record,
    args: list[Any],
) -> Any:
    if expr.op == "field":
        return _real(expr, record.get(expr.value))
    if expr.op == "literal":
        return _real(expr, expr.value)
    if expr.op == "is_null":
        return args[0] is None
    return None if any(arg is None for arg in args) else _operation(expr, args)


def _operation(expr: Expr, args: list[Any]) -> Any:
    """Of arguments that are there."""
    if expr.op == "isin":
        return any(_alike(args[0], _real(expr.args[0], wanted)) for wanted in expr.value)
    if len(args) == 2:
        return _bounded(expr, _TWO[expr.op](*args))
    parts = _OF_DATE if expr.args[0].kind == "date" else _ONE
    return _bounded(expr, parts[expr.op](args[0]))


def holds(expr: Expr | None, record: Record) -> bool:
    """Whether a condition is true; null counts as false, and none at all as true."""
    return expr is None or value(expr, record) is True


def _real(expr: Expr, stored: Any) -> Any:
    if expr.kind == "number" and isinstance(stored, int):
        return Fraction(stored, 10**expr.places)
    return stored


def _alike(one: Any, other: Any) -> bool:
    """Equal and of one kind: a Bool is not a number."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _bounded(expr: Expr, result: Any) -> Any:
    """A number beyond 2**62 units of its last place is null."""
    beyond = expr.op in {"+", "-", "*"} and abs(result * 10**expr.places) > LIMIT
    return None if beyond else result


def _date(days: int) -> date:
    return date.fromordinal(date(1970, 1, 1).toordinal() + days)


def _moment(us: int) -> datetime:
    return _START + timedelta(microseconds=us)
