"""`String()`: text."""

# ruff: noqa: ARG002  (one signature for all types)

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import pyarrow as pa

from twinstream.define.fields.arrays import Stored, is_text, sure, unsure
from twinstream.define.fields.base import UNBOUNDED, Convert, DocumentedType, FieldType, Input
from twinstream.define.fields.exact import expected
from twinstream.define.kinds import ValueKind
from twinstream.define.location import Location, refuse, shown

TEXT = ValueKind(
    "string",
    lambda value, _: msgspec.json.encode(value).decode(),
    lambda value: value if isinstance(value, str) else None,
    objects=True,
)


@dataclass(frozen=True)
class String(FieldType):
    """Text, UTF-8. An empty string is a value; an empty CSV cell is null."""

    kind: ClassVar[str] = "string"
    arrow: ClassVar[pa.DataType] = pa.string()
    json: ClassVar[Any] = str
    expression: ClassVar[ValueKind] = TEXT
    documented: ClassVar[DocumentedType] = DocumentedType(
        "`String()`", 'text; "" is a value', "text; an empty cell is null", "string", "string"
    )
    fits_name: ClassVar[str] = "string"
    key_bytes: ClassVar[tuple[int, int]] = (0, UNBOUNDED)
    alike: ClassVar[frozenset[type]] = frozenset({str})
    scan_code: ClassVar[int] = 0
    input: ClassVar[Input] = Input.TEXT
    numeric: ClassVar[bool] = False
    countable: ClassVar[bool] = True
    trimmed: ClassVar[bool] = False

    def stored_value(self, value: Any, *, text: bool) -> str:
        if not isinstance(value, str):
            raise expected("text", value)
        return value

    def stored_column(self, column: pa.Array, *, text: bool) -> Stored:
        return sure(column) if pa.types.is_string(column.type) else unsure(column, self.arrow)

    def fits(self, found: pa.DataType) -> bool:
        return is_text(found)

    def fitted(self, value: Any, what: str, at: Location | None) -> str:
        if type(value) is not str:
            refuse(f"{shown(value)} in {what} is not a str", "it meets a String: give a str", at)
        return value

    def quick(self) -> Convert:
        def convert(value: Any) -> Any:
            if type(value) is str or value is None:
                return value
            return self.stored_value(value, text=False)

        return convert
