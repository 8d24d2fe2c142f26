"""Steps that types of fields share to bring one value into stored form exactly, or to say why it
does not fit.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Context
from decimal import Decimal as Exact
from typing import Any, NoReturn

import msgspec

from twinstream.define.limits import LIMIT
from twinstream.define.location import Location, refuse, shown
from twinstream.define.plain import scaled
from twinstream.errors import RecordError

DIGITS = 19
"""Of 2**62: what has more is too large, whatever its digits."""
WIDE = Context(prec=100, rounding=ROUND_HALF_EVEN)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,9})?", re.ASCII)


def is_number_text(text: str) -> bool:
    """Whether it writes a number."""
    return _NUMBER.fullmatch(text) is not None


def exact_number(what: str, value: Any, *, take_text: bool) -> Exact:
    """The number exactly as written; a float stands for its shortest text. Raises RecordError."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Exact, str)):
        raise expected(what, value)
    if isinstance(value, str) and not (take_text and is_number_text(value)):
        raise expected(what, value)
    exact = Exact(repr(value)) if isinstance(value, float) else Exact(value)
    if not exact.is_finite():
        raise expected(f"a finite {what}", value)
    return exact


def whole_number(value: Any, *, take_text: bool) -> int:
    """A whole number within LIMIT. Raises RecordError."""
    exact = exact_number("int", value, take_text=take_text)
    if exact.adjusted() <= DIGITS and exact != exact.to_integral_value():
        raise expected("int", value)
    return within_limit(exact, value)


def within_limit(exact: Exact, value: Any) -> int:
    """A whole number as int; raises RecordError beyond LIMIT."""
    if exact.adjusted() > DIGITS or exact.copy_abs() > LIMIT:
        raise over_limit(value)
    return int(exact)


def fitted_number(
    value: Any,
    places: int,
    what: str,
    at: Location | None,
    met: str,
) -> int:
    """A number of a definition scaled by 10**places; refuses what a field of type `met` cannot
    hold.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, Exact)):
        refuse_other(value, what, at, met)
    whole, written = scaled(value)
    stored = whole * 10 ** (places - written) if 0 <= written <= places else LIMIT + 1
    if abs(stored) > LIMIT:
        refuse(
            f"{shown(value)} in {what} does not fit",
            f"give a number of at most {places} decimal places and 2**62 units of the last",
            at,
        )
    return stored


def refuse_other(
    value: Any,
    what: str,
    at: Location | None,
    met: str,
) -> NoReturn:
    """Refuse what is not a number where a field of type `met` needs one."""
    refuse(
        f"{shown(value)} in {what} is not a number",
        f"it meets a field of type {met}: give a number that it can hold",
        at,
    )


def over_limit(value: Any) -> RecordError:
    """The error of a number beyond LIMIT."""
    return expected("at most 2**62 in the last place", value)


def expected(what: str, value: Any) -> RecordError:
    """The error of a value that is not what it must be; shows its beginning."""
    text = _shown(value)
    return RecordError(f"expected {what}, got {text if len(text) <= 80 else text[:77] + '...'}")


def _shown(value: Any) -> str:
    if isinstance(value, Exact):
        return str(value)
    try:
        return msgspec.json.encode(value, enc_hook=str).decode()
    except (TypeError, ValueError):
        return repr(value)
