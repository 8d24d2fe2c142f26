"""Exact types of a source's fields, and the Arrow type in which each travels and is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from twinstream.define.location import refuse, shown

LIMIT = 2**62
"""Largest magnitude of a stored integer, so that a sum of two never leaves 64 bits."""
MAX_PLACES = 15


@dataclass(frozen=True)
class FieldType:
    """Type of one field; `optional` allows null."""

    optional: bool = False
    kind: ClassVar[str] = ""
    arrow: ClassVar[pa.DataType] = pa.null()
    numeric: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.optional, bool):
            refuse(
                f"optional of a {type(self).__name__} is {shown(self.optional)}",
                "give True or False",
            )

    @property
    def places(self) -> int:
        """Decimal places of the stored integer."""
        return 0

    def canonical(self) -> str:
        return self.kind + ("?" if self.optional else "")

    def same_kind(self, other: FieldType) -> bool:
        """Equal but for `optional`: values can be compared and joined."""
        return (self.kind, self.places) == (other.kind, other.places)


@dataclass(frozen=True)
class String(FieldType):
    """Text, UTF-8. An empty string is a value; an empty CSV cell is null."""

    kind: ClassVar[str] = "string"
    arrow: ClassVar[pa.DataType] = pa.string()
    numeric: ClassVar[bool] = False


@dataclass(frozen=True)
class Int(FieldType):
    """Whole number, |value| <= 2**62."""

    kind: ClassVar[str] = "int"
    arrow: ClassVar[pa.DataType] = pa.int64()


@dataclass(frozen=True)
class Bool(FieldType):
    """True or false; as a number 1 or 0."""

    kind: ClassVar[str] = "bool"
    arrow: ClassVar[pa.DataType] = pa.bool_()


@dataclass(frozen=True)
class Timestamp(FieldType):
    """A moment, stored as UTC microseconds; years 1900 to 2200."""

    kind: ClassVar[str] = "timestamp"
    arrow: ClassVar[pa.DataType] = pa.int64()


@dataclass(frozen=True, init=False)
class Decimal(FieldType):
    """Number with a fixed count of decimal places, stored as an integer scaled by 10**places;
    more places are rounded half-even.
    """

    kind: ClassVar[str] = "decimal"
    arrow: ClassVar[pa.DataType] = pa.int64()
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
