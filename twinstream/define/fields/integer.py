"""`Int()`: whole numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from twinstream.define.fields.arrays import (
    FEW_CELLS,
    Stored,
    bools,
    cast,
    is_number,
    scaled_decimals,
    scaled_floats,
    scanned_numbers,
    unsure,
    within,
)
from twinstream.define.fields.base import Convert, DocumentedType, FieldType
from twinstream.define.fields.exact import fitted_number, whole_number
from twinstream.define.kinds import NUMBER, ValueKind
from twinstream.define.limits import LIMIT
from twinstream.define.location import Location

JSON_WHOLE = Annotated[int, msgspec.Meta(ge=-LIMIT, le=LIMIT)]


@dataclass(frozen=True)
class Int(FieldType):
    """Whole number, |value| <= 2**62."""

    kind: ClassVar[str] = "int"
    arrow: ClassVar[pa.DataType] = pa.int64()
    json: ClassVar[Any] = JSON_WHOLE
    expression: ClassVar[ValueKind] = NUMBER
    documented: ClassVar[DocumentedType] = DocumentedType(
        "`Int()`", "whole number", "text of one", "integers, whole floats", "int64"
    )
    fits_name: ClassVar[str] = "an integer type"
    key_bytes: ClassVar[tuple[int, int]] = (1, 20)
    scan_code: ClassVar[int] = 2
    ranged: ClassVar[bool] = True
    countable: ClassVar[bool] = True

    def stored_value(self, value: Any, *, text: bool) -> int:
        return whole_number(value, take_text=text)

    def stored_column(self, column: pa.Array, *, text: bool) -> Stored:
        found = column.type
        if pa.types.is_string(found) and text:
            return _of_text(column)
        if pa.types.is_integer(found):
            return within(column, -LIMIT, LIMIT)
        if pa.types.is_floating(found):
            return scaled_floats(column, 0, whole=True)
        if pa.types.is_decimal128(found):
            return scaled_decimals(column, 0, whole=True)
        return unsure(column, self.arrow)

    def fits(self, found: pa.DataType) -> bool:
        return is_number(found)

    def fitted(self, value: Any, what: str, at: Location | None) -> int:
        return fitted_number(value, 0, what, at, "Int")

    def quick(self) -> Convert:
        def convert(value: Any) -> Any:
            if type(value) is int and -LIMIT <= value <= LIMIT:
                return value
            return None if value is None else self.stored_value(value, text=False)

        return convert


def _of_text(column: pa.Array) -> Stored:
    if len(column) >= FEW_CELLS:
        return scanned_numbers(column, 0, csv=True, whole=True)
    return _few_cells(column)


def _few_cells(column: pa.Array) -> Stored:
    """Plain digits by Arrow's own cast; all else is doubtful."""
    plain = pc.if_else(pc.match_substring_regex(column, "^-?[0-9]+$"), column, None)
    numbers, doubt = cast(plain, pa.int64())
    doubt |= bools(pc.and_not(column.is_valid(), plain.is_valid()))
    return within(numbers, -LIMIT, LIMIT, doubt)
