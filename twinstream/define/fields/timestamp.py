"""`Timestamp()`: moments."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinstream.define.fields.arrays import (
    FEW_CELLS,
    Stored,
    cast,
    cells_of,
    is_text,
    scaled_decimals,
    scaled_floats,
    scanned,
    unsure,
    within,
)
from twinstream.define.fields.base import Convert, DocumentedType, FieldType, Input, PublicForm
from twinstream.define.fields.exact import expected, is_number_text, refuse_other, whole_number
from twinstream.define.fields.integer import JSON_WHOLE
from twinstream.define.kinds import ValueKind
from twinstream.define.limits import DAY_US, FIRST_US, LAST_US, LIMIT
from twinstream.define.location import Location, refuse, shown
from twinstream.define.operations import Column, Operation, same_for_both

MOMENT = pa.timestamp("us", tz="UTC")
MINUTE_US, HOUR_US = 60_000_000, 3_600_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ZONED = re.compile(r".*(Z|[+-]\d\d(:?\d\d)?)", re.DOTALL)
_PLAIN_TIME = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)", re.ASCII
)


def moment_of(us: float) -> datetime:
    """A moment from UTC microseconds."""
    return EPOCH + timedelta(microseconds=int(us))


def microseconds_of(moment: datetime) -> int:
    """UTC microseconds of a moment with a zone."""
    since = moment - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _months(us: Column) -> Column:
    return us.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64) % 12 + 1


def _days_of_year(us: Column) -> Column:
    days = us.astype("datetime64[us]").astype("datetime64[D]")
    return (days - days.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64) + 1


def _microseconds(value: int) -> int:
    """A count of microseconds that a definition holds."""
    if abs(value) > LIMIT:
        refuse(f"{shown(value)} is not a count of microseconds", "its magnitude is at most 2**62")
    return value


def _span_literal(value: Any) -> int | None:
    return _microseconds(value) if type(value) is int else None


def _time_literal(value: Any) -> int | None:
    """Whole microseconds, RFC 3339, or Python's own moment; all with a zone."""
    if not isinstance(value, (str, datetime)):
        return _span_literal(value)
    remedy = 'write RFC 3339 with a zone, as in "2013-10-01T00:00:00Z"'
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        refuse(f"{shown(value)} is not a moment in time", remedy)
    if moment.utcoffset() is None:
        refuse(f"{shown(value)} has no time zone", remedy)
    return microseconds_of(moment)


SPAN = ValueKind(
    "span",
    lambda value, _: f"{value}us",
    _span_literal,
    {
        "minutes": same_for_both(lambda us: us // MINUTE_US),
        "hours": same_for_both(lambda us: us // HOUR_US),
        "days": same_for_both(lambda us: us // DAY_US),
    },
)
"""The difference of two moments, in microseconds."""
TIME = ValueKind(
    "timestamp",
    lambda value, _: f"{value}us",
    _time_literal,
    {
        "hour": same_for_both(lambda us: us // HOUR_US % 24),
        "minute_of_day": same_for_both(lambda us: us // MINUTE_US % 1440),
        # Monday is 0; 1970 began on a Thursday.
        "weekday": same_for_both(lambda us: (us // DAY_US + 3) % 7),
        "month": Operation(_months, lambda us: moment_of(us).month),
        "day_of_year": Operation(_days_of_year, lambda us: moment_of(us).timetuple().tm_yday),
    },
    difference=SPAN,
)


@dataclass(frozen=True)
class Timestamp(FieldType):
    """A moment, stored as UTC microseconds; years 1900 to 2200."""

    kind: ClassVar[str] = "timestamp"
    arrow: ClassVar[pa.DataType] = pa.int64()
    json: ClassVar[Any] = JSON_WHOLE | str
    expression: ClassVar[ValueKind] = TIME
    documented: ClassVar[DocumentedType] = DocumentedType(
        "`Timestamp()`",
        "RFC 3339 text with a zone, or whole microseconds since 1970",
        "the same as text",
        "timestamp with a zone, int64 microseconds, text",
        "int64, UTC microseconds",
    )
    fits_name: ClassVar[str] = "timestamp with a time zone"
    key_bytes: ClassVar[tuple[int, int]] = (1, 17)
    scan_code: ClassVar[int] = 4
    input: ClassVar[Input] = Input.NONE

    def stored_value(self, value: Any, *, text: bool) -> int:
        if isinstance(value, str) and not (text and is_number_text(value)):
            us = _moment(value)
        else:
            us = whole_number(value, take_text=text)
        if not FIRST_US <= us <= LAST_US:
            raise expected("a moment in the years 1900 to 2200", value)
        return us

    def stored_column(self, column: pa.Array, *, text: bool) -> Stored:
        found = column.type
        if pa.types.is_integer(found):
            return within(column, FIRST_US, LAST_US)
        if pa.types.is_floating(found):
            return _narrowed(scaled_floats(column, 0, whole=True))
        if pa.types.is_decimal128(found):
            return _narrowed(scaled_decimals(column, 0, whole=True))
        if not pa.types.is_string(found):
            return unsure(column, self.arrow)
        return _of_text(column, csv=text)

    def from_json(self, values: list[Any]) -> Stored:
        """Text and whole microseconds may be mixed."""
        found = set(map(type, values))
        if str in found and int in found:
            return self._mixed(values)
        kind = pa.string() if str in found else pa.int64()
        return self.stored_column(pa.array(values, kind), text=False)

    def _mixed(self, values: list[Any]) -> Stored:
        text = self.stored_column(_only(values, str, pa.string()), text=False)
        whole = self.stored_column(_only(values, int, pa.int64()), text=False)
        return Stored(pc.coalesce(text.array, whole.array), text.doubtful | whole.doubtful)

    def fits(self, found: pa.DataType) -> bool:
        zoned = pa.types.is_timestamp(found) and found.tz is not None
        return bool(zoned or pa.types.is_integer(found) or is_text(found))

    def fitted(self, value: Any, what: str, at: Location | None) -> int:
        return refuse_other(value, what, at, "Timestamp")

    def quick(self) -> Convert:
        def convert(value: Any) -> Any:
            if type(value) is int and FIRST_US <= value <= LAST_US:
                return value
            if type(value) is str and _PLAIN_TIME.fullmatch(value):
                return self._plain(value)
            return None if value is None else self.stored_value(value, text=False)

        return convert

    def as_key(self) -> PublicForm:
        return PublicForm(MOMENT, moment_of)

    def as_answer(self) -> PublicForm:
        return PublicForm(MOMENT, moment_of)

    def _plain(self, text: str) -> int:
        """Of RFC 3339 in its most common form."""
        try:
            us = microseconds_of(datetime.fromisoformat(text))
        except (ValueError, OverflowError):
            return self.stored_value(text, text=False)
        return us if FIRST_US <= us <= LAST_US else self.stored_value(text, text=False)


def _of_text(column: pa.Array, *, csv: bool) -> Stored:
    if len(column) >= FEW_CELLS:
        return _scanned_moments(column, csv=csv)
    moments, doubt = cast(column, MOMENT)
    return within(moments.cast(pa.int64()), FIRST_US, LAST_US, doubt)


def _only(values: list[Any], of: type, arrow: pa.DataType) -> pa.Array:
    """The values of one type, null for the others."""
    return pa.array([v if isinstance(v, of) else None for v in values], arrow)


def _moment(text: str) -> int:
    """Microseconds of an RFC 3339 text; what lies beyond microseconds is cut off."""
    tidy = re.sub(r"(\.\d{6})\d+", r"\1", text.upper())
    try:
        if _ZONED.fullmatch(tidy):  # Arrow takes 20 us to find that there is none
            return int(pa.scalar(tidy).cast(MOMENT).value)
    except pa.ArrowInvalid:
        pass
    raise expected("RFC 3339 with a zone or whole microseconds", text)


def _narrowed(numbers: Stored) -> Stored:
    """Whole numbers as moments."""
    return within(numbers.array, FIRST_US, LAST_US, numbers.doubtful)


def _scanned_moments(column: pa.Array, *, csv: bool) -> Stored:
    """Text as moments; in a CSV file whole microseconds are moments too."""
    from twinstream.define.compiled.cells import scan_moments

    data, bounds, out = cells_of(column)
    scan_moments(data, bounds, csv, out)
    return scanned(column, out)
