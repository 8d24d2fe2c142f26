"""One value of a record, as it came, in stored form: the slow and exact way, with a precise reason
when it does not fit. Each type has its own: see `twinstream.define.fields`.
"""

from __future__ import annotations

from typing import Any

from twinstream.define.fields.base import FieldType

_BLANKS = " \t\r\n\f\v"


def stored(kind: FieldType, value: Any, *, text: bool = False) -> Any:
    """The stored form of one value, None for null; raises RecordError.

    `value` is what JSON or Arrow gives: text, whole numbers, floats or exact decimals,
    true and false, null. `text`: it is a cell of a CSV file, where "" is null and numbers and
    moments are text.
    """
    if value is None or (text and value == ""):
        return None
    return kind.stored_value(value.strip(_BLANKS) if text and kind.trimmed else value, text=text)
