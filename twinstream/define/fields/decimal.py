"""`Decimal(places)`: numbers with a fixed count of decimal places."""

# ruff: noqa: ARG002  (one signature for all types)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context
from decimal import Decimal as Exact
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from twinstream.define.fields.arrays import (
    FEW_CELLS,
    Stored,
    cast,
    is_number,
    is_text,
    scaled_decimals,
    scaled_floats,
    scanned_numbers,
    unsure,
    within,
)
from twinstream.define.fields.base import Convert, DocumentedType, FieldType, PublicForm
from twinstream.define.fields.exact import (
    DIGITS,
    WIDE,
    exact_number,
    fitted_number,
    over_limit,
    within_limit,
)
from twinstream.define.kinds import NUMBER, ValueKind
from twinstream.define.limits import LIMIT, MAX_PLACES
from twinstream.define.location import Location, refuse, shown

EXACT = 1 << 53
"""Whole numbers up to here are exact as floats."""
SURE_UNITS = 10**15
"""Below this a float that divides back to itself is the number of its shortest text."""
MOST_DIGITS = 38
"""Of a decimal that is shown to users."""
_ANSWER = Context(prec=400)


@dataclass(frozen=True, init=False)
class Decimal(FieldType):
    """Number with a fixed count of decimal places, stored as an integer scaled by 10**places;
    more places are rounded half-even.
    """

    kind: ClassVar[str] = "decimal"
    arrow: ClassVar[pa.DataType] = pa.int64()
    json: ClassVar[Any] = float
    expression: ClassVar[ValueKind] = NUMBER
    documented: ClassVar[DocumentedType] = DocumentedType(
        "`Decimal(places)`",
        "number, or text of one",
        "text of one",
        "decimals, floats, integers",
        "int64 scaled by 10**places",
    )
    fits_name: ClassVar[str] = "decimal, a float or an integer type"
    key_bytes: ClassVar[tuple[int, int]] = (1, 20)
    scan_code: ClassVar[int] = 3
    ranged: ClassVar[bool] = True
    digits: int = 0

    def __init__(self, places: int, *, optional: bool = False) -> None:
        if not isinstance(places, int) or isinstance(places, bool) or not 0 <= places <= MAX_PLACES:
            refuse(
                f"Decimal({shown(places)}) has no count of decimal places",
                f"give a whole number from 0 to {MAX_PLACES}, as in Decimal(2)",
            )
        object.__setattr__(self, "digits", places)
        object.__setattr__(self, "optional", optional)
        self.__post_init__()

    @property
    def places(self) -> int:
        return self.digits

    def canonical(self) -> str:
        return f"decimal({self.digits})" + ("?" if self.optional else "")

    def stored_value(self, value: Any, *, text: bool) -> int:
        exact = exact_number("decimal", value, take_text=True)
        if not exact or exact.adjusted() + self.places < -1:
            return 0
        if exact.adjusted() + self.places > DIGITS:
            raise over_limit(value)
        return within_limit(
            exact.scaleb(self.places, WIDE).to_integral_value(ROUND_HALF_EVEN), value
        )

    def stored_column(self, column: pa.Array, *, text: bool) -> Stored:
        found = column.type
        if pa.types.is_string(found):
            return self._of_text(column, csv=text)
        if pa.types.is_floating(found):
            return scaled_floats(column, self.places)
        if pa.types.is_integer(found):
            return self._of_integers(column)
        if pa.types.is_decimal128(found):
            return scaled_decimals(column, self.places)
        return unsure(column, self.arrow)

    def _of_text(self, column: pa.Array, *, csv: bool) -> Stored:
        if len(column) >= FEW_CELLS:
            return scanned_numbers(column, self.places, csv=csv, whole=False)
        numbers, doubt = cast(column, pa.float64())
        result = scaled_floats(numbers, self.places)
        return Stored(result.array, result.doubtful | doubt)

    def _of_integers(self, column: pa.Array) -> Stored:
        bound = LIMIT // 10**self.places
        stored = within(column, -bound, bound)
        return Stored(pc.multiply(stored.array, 10**self.places), stored.doubtful)

    def from_json(self, values: list[Any]) -> Stored:
        return self.stored_column(pa.array(values, pa.float64()), text=False)

    def fits(self, found: pa.DataType) -> bool:
        return is_number(found) or is_text(found)

    def fitted(self, value: Any, what: str, at: Location | None) -> int:
        return fitted_number(value, self.places, what, at, "Decimal")

    def quick(self) -> Convert:
        """A float stands for its shortest text: `units` is that number exactly when it divides
        back to the same float.
        """
        one = 10**self.places

        def convert(value: Any) -> Any:
            if type(value) is int and -EXACT < value * one < EXACT:
                return value * one
            if type(value) is float and -EXACT < value * one < EXACT:
                units = round(value * one)
                if units / one == value and abs(units) < SURE_UNITS:
                    return units
            return None if value is None else self.stored_value(value, text=False)

        return convert

    def as_key(self) -> PublicForm:
        if not self.places:
            return PublicForm(self.arrow, lambda stored: stored)
        unit = Exact(1).scaleb(-self.places)
        return PublicForm(
            pa.decimal128(MOST_DIGITS, self.places), lambda stored: Exact(stored) * unit
        )

    def as_answer(self) -> PublicForm:
        if not self.places:
            return PublicForm(pa.int64(), int)
        return PublicForm(pa.decimal128(MOST_DIGITS, self.places), decimal_of(self.places))

    def in_message(self, stored: Any) -> str:
        whole = not self.places or not isinstance(stored, int)
        return repr(stored) if whole else f"{stored / 10**self.places:g}"


def decimal_of(places: int) -> Callable[[float], Exact]:
    """What makes of a float the number with so many decimal places that is nearest to it."""
    unit = Exact(1).scaleb(-places)

    def exact(x: float) -> Exact:
        # Up to 2**52 units a double is nearer to its own decimal than to any other.
        return Exact(x).quantize(unit, context=_ANSWER)

    return exact
