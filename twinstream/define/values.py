"""One value of a record, as it came, in stored form: the slow and exact way, with a precise reason
when it does not fit.
"""

# ruff: noqa: ARG001, FBT001  (one signature for all types)

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context
from decimal import Decimal as Exact
from typing import Any

import msgspec
import pyarrow as pa

from twinstream.define.types import LIMIT, FieldType
from twinstream.errors import RecordError

FIRST_US = -2_208_988_800_000_000  # 1900-01-01
LAST_US = 7_289_654_400_000_000 - 1  # the last of 2200
UNSURE = (
    -(1 << 63) + 1
)  # not the value of any field: what compiled loops put where they are not sure
MOMENT = pa.timestamp("us", tz="UTC")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,9})?", re.ASCII)
_ZONED = re.compile(r".*(Z|[+-]\d\d(:?\d\d)?)", re.DOTALL)
_DIGITS = 19  # of 2**62: what has more is too large, whatever its digits
_BLANKS = " \t\r\n\f\v"
_WIDE = Context(prec=100, rounding=ROUND_HALF_EVEN)
_BOOLS = {"true": True, "false": False, "1": True, "0": False}


def stored(kind: FieldType, value: Any, *, text: bool = False) -> Any:
    """The stored form of one value, None for null; raises RecordError.

    `value` is what JSON or Arrow gives: text, whole numbers, floats or exact decimals,
    true and false, null. `text`: it is a cell of a CSV file, where "" is null and numbers and
    moments are text.
    """
    if value is None or (text and value == ""):
        return None
    return _STORED[kind.kind](
        kind, value.strip(_BLANKS) if text and kind.kind != "string" else value, text
    )


def _string(kind: FieldType, value: Any, text: bool) -> str:
    if not isinstance(value, str):
        raise expected("text", value)
    return value


def _bool(kind: FieldType, value: Any, text: bool) -> bool:
    if text and value.lower() in _BOOLS:
        return _BOOLS[value.lower()]
    if not isinstance(value, bool):
        raise expected("true or false", value)
    return value


def _int(kind: FieldType, value: Any, text: bool) -> int:
    exact = _exact("int", value, take_text=text)
    if exact.adjusted() <= _DIGITS and exact != exact.to_integral_value():
        raise expected("int", value)
    return _bounded(exact, value)


def _decimal(kind: FieldType, value: Any, text: bool) -> int:
    exact = _exact("decimal", value, take_text=True)
    if not exact or exact.adjusted() + kind.places < -1:
        return 0
    if exact.adjusted() + kind.places > _DIGITS:
        raise _too_large(value)
    return _bounded(exact.scaleb(kind.places, _WIDE).to_integral_value(ROUND_HALF_EVEN), value)


def _timestamp(kind: FieldType, value: Any, text: bool) -> int:
    if isinstance(value, str) and not (text and _NUMBER.fullmatch(value)):
        us = _moment(value)
    else:
        us = _int(kind, value, text)
    if not FIRST_US <= us <= LAST_US:
        raise expected("a moment in the years 1900 to 2200", value)
    return us


_STORED: dict[str, Callable[[FieldType, Any, bool], Any]] = {
    "string": _string,
    "bool": _bool,
    "int": _int,
    "decimal": _decimal,
    "timestamp": _timestamp,
}


def _exact(what: str, value: Any, *, take_text: bool) -> Exact:
    """The number exactly as written; a float stands for its shortest text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Exact, str)):
        raise expected(what, value)
    if isinstance(value, str) and not (take_text and _NUMBER.fullmatch(value)):
        raise expected(what, value)
    exact = Exact(repr(value)) if isinstance(value, float) else Exact(value)
    if not exact.is_finite():
        raise expected(f"a finite {what}", value)
    return exact


def _bounded(exact: Exact, value: Any) -> int:
    if exact.adjusted() > _DIGITS or exact.copy_abs() > LIMIT:
        raise _too_large(value)
    return int(exact)


def _moment(text: str) -> int:
    """Microseconds of an RFC 3339 text; what lies beyond microseconds is cut off."""
    tidy = re.sub(r"(\.\d{6})\d+", r"\1", text.upper())
    try:
        if _ZONED.fullmatch(tidy):  # Arrow takes 20 us to find that there is none
            return int(pa.scalar(tidy).cast(MOMENT).value)
    except pa.ArrowInvalid:
        pass
    raise expected("RFC 3339 with a zone or whole microseconds", text)


def _too_large(value: Any) -> RecordError:
    return expected("at most 2**62 in the last place", value)


def expected(what: str, value: Any) -> RecordError:
    """The error of a value that is not what it must be; shows its beginning."""
    try:
        shown = (
            msgspec.json.encode(value, enc_hook=str).decode()
            if not isinstance(value, Exact)
            else str(value)
        )
    except (TypeError, ValueError):
        shown = repr(value)
    return RecordError(f"expected {what}, got {shown if len(shown) <= 80 else shown[:77] + '...'}")
