"""`Date()`: days of the calendar."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinstream.define.fields.arrays import Bools, Stored, bools, cast, is_text, unsure, within
from twinstream.define.fields.base import (
    Convert,
    DocumentedType,
    FieldType,
    Input,
    PublicForm,
)
from twinstream.define.fields.exact import expected
from twinstream.define.kinds import NUMBER, ValueKind
from twinstream.define.limits import FIRST_DAY, LAST_DAY
from twinstream.define.location import Location, refuse, shown
from twinstream.define.operations import Column, Operation, same_for_both

EPOCH_DAY = date(1970, 1, 1)
ISO = "2013-10-01"
_PATTERN = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def date_of(days: float) -> date:
    """A date from days since 1970."""
    return EPOCH_DAY + timedelta(days=int(days))


def days_since_1970(value: Any) -> int | None:
    """Of an ISO date or Python's own; None for all else, and for a date before 1900 or after 2200.

    A moment is not a date: on which day it lies depends on the zone.
    """
    if isinstance(value, str) and _ISO.fullmatch(value):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, date) or isinstance(value, datetime):
        return None
    days = (value - EPOCH_DAY).days
    return days if FIRST_DAY <= days <= LAST_DAY else None


def _months(days: Column) -> Column:
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12 + 1


def _days_of_year(days: Column) -> Column:
    dates = days.astype("datetime64[D]")
    return (dates - dates.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64) + 1


def _literal(value: Any) -> int | None:
    if not isinstance(value, (str, date)):
        return None
    found = days_since_1970(value)
    if found is None:
        refuse(f"{shown(value)} is not a date of the years 1900 to 2200", f'write it as in "{ISO}"')
    return found


DATE = ValueKind(
    "date",
    lambda value, _: f"{value}d",
    _literal,
    {
        # Monday is 0; 1970 began on a Thursday.
        "weekday": same_for_both(lambda days: (days + 3) % 7),
        "month": Operation(_months, lambda days: date_of(days).month),
        "day_of_year": Operation(_days_of_year, lambda days: date_of(days).timetuple().tm_yday),
    },
    difference=NUMBER,
)


@dataclass(frozen=True)
class Date(FieldType):
    """A day of the calendar, stored as days since 1970-01-01; years 1900 to 2200."""

    kind: ClassVar[str] = "date"
    arrow: ClassVar[pa.DataType] = pa.int64()
    json: ClassVar[Any] = str
    expression: ClassVar[ValueKind] = DATE
    documented: ClassVar[DocumentedType] = DocumentedType(
        "`Date()`",
        f'ISO text, `"{ISO}"`',
        "the same as text",
        "date32, date64, text",
        "int64, days since 1970-01-01",
    )
    fits_name: ClassVar[str] = "date32"
    key_bytes: ClassVar[tuple[int, int]] = (1, 6)
    input: ClassVar[Input] = Input.NONE
    ranged: ClassVar[bool] = True

    def stored_value(self, value: Any, *, text: bool) -> int:  # noqa: ARG002 - one signature
        days = days_since_1970(value)
        if days is None:
            raise expected(f'a date of the years 1900 to 2200 as in "{ISO}"', value)
        return days

    def stored_column(self, column: pa.Array, *, text: bool) -> Stored:  # noqa: ARG002
        if not pa.types.is_string(column.type):
            return unsure(column, self.arrow)
        days, doubt = _days_of(column)
        return within(days.cast(pa.int32()).cast(pa.int64()), FIRST_DAY, LAST_DAY, doubt)

    def from_json(self, values: list[Any]) -> Stored:
        return self.stored_column(pa.array(values, pa.string()), text=False)

    def fits(self, found: pa.DataType) -> bool:
        return bool(pa.types.is_date(found) or is_text(found))

    def fitted(self, value: Any, what: str, at: Location | None) -> int:
        days = days_since_1970(value)
        if days is None:
            refuse(
                f"{shown(value)} in {what} is not a date of the years 1900 to 2200",
                f'it meets a Date: write it as in "{ISO}"',
                at,
            )
        return days

    def quick(self) -> Convert:
        def convert(value: Any) -> Any:
            return None if value is None else self.stored_value(value, text=False)

        return convert

    def as_key(self) -> PublicForm:
        return PublicForm(pa.date32(), date_of)

    def as_answer(self) -> PublicForm:
        return PublicForm(pa.date32(), date_of)

    def in_message(self, stored: Any) -> str:
        return date_of(stored).isoformat() if isinstance(stored, int) else repr(stored)


def _days_of(column: pa.Array) -> tuple[pa.Array, Bools]:
    """Text as dates, and which of it is none for sure."""
    plain = pc.if_else(pc.match_substring_regex(column, _PATTERN), column, None)
    days, doubt = cast(plain, pa.date32())
    return days, doubt | bools(pc.and_not(column.is_valid(), plain.is_valid()))
