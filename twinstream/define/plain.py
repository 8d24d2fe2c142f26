"""The one rule for values that a definition holds: plain, finite, exact, of the type of the field
that they meet.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal as Exact
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from twinstream.define.location import Location, refuse, shown

if TYPE_CHECKING:
    from twinstream.define.fields.base import FieldType

Plain = bool | int | float | str
MOST_DIGITS = 80
T = TypeVar("T")


def plain(value: Any, what: str, at: Location | None = None) -> Any:
    """A bool, int, float, str or Decimal as Python's own; anything else as it is.
    Refuses what is not finite or no Unicode.

    NumPy's scalars and subclasses (an IntEnum, a StrEnum) become what they hold.
    """
    if isinstance(value, np.generic):
        value = _of_numpy(value, what, at)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, (float, Exact)):
        return _finite(value, what, at)
    return _text(value, what, at) if isinstance(value, str) else value


def number(value: Any, what: str, at: Location | None = None) -> float:
    """A finite float of a number that a definition holds."""
    value = plain(value, what, at)
    if isinstance(value, bool) or not isinstance(value, (int, float, Exact)):
        refuse(f"{what} is {shown(value)}", "give a number", at)
    try:
        return float(_finite(float(value), what, at))
    except OverflowError:
        return refuse(f"{what} is {shown(value)}", "give a number that a float can hold", at)


def scaled(value: float | Exact) -> tuple[int, int]:
    """A finite number exactly as written: a whole number and its decimal places, the least of them;
    (0, -1) when it has too many digits.
    """
    exact = Exact(repr(value)) if isinstance(value, float) else _exact(value)
    if not exact:
        return 0, 0
    sign, digits, exponent = exact.as_tuple()
    if not isinstance(exponent, int) or len(digits) > MOST_DIGITS or abs(exponent) > MOST_DIGITS:
        return 0, -1
    whole, places = _least_places(int("".join(map(str, digits))), -exponent)
    return -whole if sign else whole, places


def _least_places(whole: int, places: int) -> tuple[int, int]:
    """The same number without zeros behind its point."""
    while places > 0 and whole % 10 == 0:
        whole, places = whole // 10, places - 1
    return whole * 10 ** max(0, -places), max(0, places)


def fitted(
    value: Any,
    kind: FieldType,
    what: str,
    at: Location | None = None,
) -> Any:
    """A value of a field in its stored form; `what` is where it is written.

    Refuses what the field cannot hold.
    """
    return kind.fitted(plain(value, what, at), what, at)


def name_of(value: Any) -> Any:
    """A name or another short text as Python's own str, so that what is digested and published is
    plain; the rest as it is.
    """
    return str.__str__(value) if isinstance(value, str) else value


def listed(values: Iterable[T] | T, what: str, at: Location | None = None) -> tuple[T, ...]:
    """What a definition lists, in its order, taken once: a single text or thing is a list of one.
    Refuses what has no order.
    """
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        return (name_of(values),)
    if isinstance(values, (set, frozenset, Mapping)):
        refuse(f"{what} is a {type(values).__name__}", "give a list: its order counts", at)
    try:
        return tuple(map(name_of, values))
    except Exception as error:  # noqa: BLE001 - whatever the user's generator raises
        refuse(
            f"{what} cannot be listed: {type(error).__name__}: {shown(error)}", "give a list", at
        )


def mapping(values: Any, what: str, at: Location | None = None) -> dict[Any, Any]:
    """A dictionary of a definition; None is an empty one."""
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        refuse(f"{what} is {shown(values)}", "give a dictionary by name", at)
    return {name_of(name): value for name, value in values.items()}


def _of_numpy(value: np.generic, what: str, at: Location | None) -> Any:
    if isinstance(value, (np.datetime64, np.timedelta64)):
        refuse(
            f"{what} is {shown(value)}, a moment of NumPy",
            'write RFC 3339 with a zone, as in "2013-10-01T00:00:00Z"',
            at,
        )
    if isinstance(value, np.floating) and not isinstance(value, float):
        return (
            float(np.format_float_positional(value, unique=True))
            if np.isfinite(value)
            else float("nan")
        )
    return value.item()


def _finite(value: Any, what: str, at: Location | None) -> Any:
    finite = value.is_finite() if isinstance(value, Exact) else math.isfinite(value)
    if not finite:
        refuse(
            f"{what}: {shown(value)} is not a finite number",
            "give a finite number, or .is_null() to look for null",
            at,
        )
    return Exact(value) if isinstance(value, Exact) else float(value)


def _text(value: str, what: str, at: Location | None) -> str:
    text = str.__str__(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        refuse(
            f"{what}: {shown(value)} is not Unicode text (it holds half of a surrogate pair)",
            "no record can hold it: write whole characters",
            at,
        )
    return text


def _exact(value: int | Exact) -> Exact:
    """Without the surroundings of the caller's decimal context; a number too large to write is as
    good as any.
    """
    if isinstance(value, int):
        value = max(-(10**MOST_DIGITS) * 10, min(value, 10**MOST_DIGITS * 10))
    return Exact(value)
