"""`Bool()`: true or false."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from twinstream.define.fields.arrays import Stored, bools, sure, unsure
from twinstream.define.fields.base import Convert, DocumentedType, FieldType
from twinstream.define.fields.exact import expected
from twinstream.define.kinds import BOOL, ValueKind
from twinstream.define.location import Location, refuse, shown

_WRITTEN = {"true": True, "false": False, "1": True, "0": False}
"""In a CSV file, in any case."""


@dataclass(frozen=True)
class Bool(FieldType):
    """True or false; as a number 1 or 0."""

    kind: ClassVar[str] = "bool"
    arrow: ClassVar[pa.DataType] = pa.bool_()
    json: ClassVar[Any] = bool
    expression: ClassVar[ValueKind] = BOOL
    documented: ClassVar[DocumentedType] = DocumentedType(
        "`Bool()`", "`true`, `false`", "true, false, 1, 0", "bool", "bool"
    )
    fits_name: ClassVar[str] = "bool"
    key_bytes: ClassVar[tuple[int, int]] = (4, 5)
    alike: ClassVar[frozenset[type]] = frozenset({bool})
    scan_code: ClassVar[int] = 1
    countable: ClassVar[bool] = True

    def stored_value(self, value: Any, *, text: bool) -> bool:
        if text and value.lower() in _WRITTEN:
            return _WRITTEN[value.lower()]
        if not isinstance(value, bool):
            raise expected("true or false", value)
        return value

    def stored_column(self, column: pa.Array, *, text: bool) -> Stored:
        if pa.types.is_boolean(column.type):
            return sure(column)
        return _of_text(column) if text else unsure(column, self.arrow)

    def fits(self, found: pa.DataType) -> bool:
        return bool(pa.types.is_boolean(found))

    def fitted(self, value: Any, what: str, at: Location | None) -> bool:
        if type(value) is not bool:
            refuse(f"{shown(value)} in {what} is not a bool", "it meets a Bool: give a bool", at)
        return value

    def quick(self) -> Convert:
        def convert(value: Any) -> Any:
            if type(value) is bool or value is None:
                return value
            return self.stored_value(value, text=False)

        return convert


def _of_text(column: pa.Array) -> Stored:
    lowered = pc.ascii_lower(pc.ascii_trim_whitespace(column))
    known = pc.is_in(lowered, value_set=pa.array(list(_WRITTEN)))
    true = pc.is_in(lowered, value_set=pa.array([t for t, value in _WRITTEN.items() if value]))
    return Stored(pc.if_else(known, true, None), bools(pc.and_not(column.is_valid(), known)))
