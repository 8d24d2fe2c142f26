"""Turns a user's lambda into an expression, once, when the definition is read."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import Any

from twinstream.define.expressions import Expr, Row, field
from twinstream.define.fields.base import FieldType
from twinstream.define.location import Location, refuse, shown
from twinstream.errors import DefinitionError

Condition = Callable[[Any], Any]
"""A function of one record, such as `lambda r: r.delay_minutes >= 15`."""


def record(
    function: Condition | str,
    fields: Mapping[str, FieldType],
    owner: str,
    what: str,
    at: Location,
) -> Expr:
    """The expression that `function` computes; a plain string is the name of a field."""
    if isinstance(function, str):
        if function not in fields:
            _refuse_field(function, fields, owner, at)
        return field(str.__str__(function), fields, owner)
    result = _called(function, Row(fields, owner), what, at)
    if not isinstance(result, Expr):
        refuse(
            f"{what} gives {shown(result)}, not an expression over the fields of {owner}",
            "start from the record's fields, as in lambda r: r.delay_minutes >= 15",
            at,
        )
    return result


def _called(
    function: Condition,
    row: Row,
    what: str,
    at: Location,
) -> Any:
    """What a user's function gives."""
    if not callable(function):
        refuse(
            f"{what} is {shown(function)}, not a function of a record",
            "write it as lambda r: r.delay_minutes >= 15",
            at,
        )
    try:
        return function(row)
    except DefinitionError:
        raise
    except Exception as error:
        raise _unrecorded(error, what, at) from error


def _unrecorded(
    error: Exception,
    what: str,
    at: Location,
) -> DefinitionError:
    """With the line of the user's file that raised it."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = Location(last.filename, last.lineno or 0) if last.filename == at.file else at
    return DefinitionError(
        f"{what} cannot be recorded: {type(error).__name__}: {str(error)[:200]}",
        "use fields, literals, comparisons, + - *, & | ~, .is_null() and .isin([...]) only",
        place.file,
        place.line,
    )


def record_condition(
    function: Condition | str | None,
    fields: Mapping[str, FieldType],
    owner: str,
    what: str,
    at: Location,
) -> Expr | None:
    """As `record`, and it must be true or false."""
    if function is None:
        return None
    result = record(function, fields, owner, what, at)
    if result.kind != "bool":
        refuse(
            f"{what} is {result!r}, a {result.kind}, not a condition", "compare it with a value", at
        )
    return result


def _refuse_field(
    name: str,
    fields: Mapping[str, FieldType],
    owner: str,
    at: Location,
) -> None:
    try:
        field(name, fields, owner)
    except DefinitionError as error:
        refuse(error.message, error.remedy, at)
