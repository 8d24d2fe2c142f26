"""The types of fields, one module each. Written by `python -m twinstream.define.generate`."""

from __future__ import annotations

from twinstream.define.fields.boolean import Bool
from twinstream.define.fields.date import Date
from twinstream.define.fields.decimal import Decimal
from twinstream.define.fields.integer import Int
from twinstream.define.fields.text import String
from twinstream.define.fields.timestamp import Timestamp

__all__ = [
    "Bool",
    "Date",
    "Decimal",
    "Int",
    "String",
    "Timestamp",
]
