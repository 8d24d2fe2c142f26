"""What a field type says of itself, once: every conversion of its values. The modules beside
this one are the types; `python -m twinstream.define.generate` writes what is derived from them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa

from twinstream.define.fields.arrays import Stored
from twinstream.define.kinds import ValueKind
from twinstream.define.location import Location, refuse, shown

Convert = Callable[[Any], Any]
UNSCANNED = -1
"""The code of a type that compiled loops over JSON do not know."""
UNBOUNDED = 1 << 30
"""Bytes in a key of a type whose values have no longest one."""


class Input(Enum):
    """How a network takes a field of a request."""

    NUMBER = "number"
    TEXT = "text"
    NONE = "not at all"


class DocumentedType(NamedTuple):
    """A type's row of the reference."""

    written: str
    json: str
    csv: str
    arrow: str
    stored: str


class PublicForm(NamedTuple):
    """How a value is shown to users: its Arrow type, and the value in that type."""

    arrow: pa.DataType
    of: Convert


@dataclass(frozen=True)
class FieldType(ABC):
    """Type of one field; `optional` allows null.

    `kind`: its name in a canonical definition. `arrow`: in which it travels and is stored. `json`:
    what msgspec decodes. `alike`: the Python types of JSON values that are stored as they are.
    `fits_name`: what the type of a file's column should have been. `key_bytes`: least and most in
    a key. `scan_code`: under which compiled loops know it. `numeric`: aggregates of numbers take
    it. `ranged`: `clip` and `between` do. `countable`: `count_by` does. `trimmed`: blanks around
    a CSV cell are not part of the value.
    """

    optional: bool = False
    kind: ClassVar[str]
    arrow: ClassVar[pa.DataType]
    json: ClassVar[Any]
    expression: ClassVar[ValueKind]
    documented: ClassVar[DocumentedType]
    fits_name: ClassVar[str]
    key_bytes: ClassVar[tuple[int, int]]
    alike: ClassVar[frozenset[type]] = frozenset()
    scan_code: ClassVar[int] = UNSCANNED
    input: ClassVar[Input] = Input.NUMBER
    numeric: ClassVar[bool] = True
    ranged: ClassVar[bool] = False
    countable: ClassVar[bool] = False
    trimmed: ClassVar[bool] = True

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

    @abstractmethod
    def stored_value(self, value: Any, *, text: bool) -> Any:
        """The exact way of one value, as `values.stored` says; raises RecordError."""

    @abstractmethod
    def stored_column(self, column: pa.Array, *, text: bool) -> Stored:
        """The fast way of a column, as `columns.store` says."""

    @abstractmethod
    def fits(self, found: pa.DataType) -> bool:
        """Whether a file's column of this Arrow type can hold it."""

    @abstractmethod
    def fitted(self, value: Any, what: str, at: Location | None) -> Any:
        """Stored form of a plain value that a definition holds; refuses what does not fit."""

    @abstractmethod
    def quick(self) -> Convert:
        """Stored form of one JSON value: fast where that is plain, else as `stored_value`."""

    def from_json(self, values: list[Any]) -> Stored:
        """A column of values as `json` decodes them, or None."""
        return self.stored_column(pa.array(values, self.arrow), text=False)

    def as_key(self) -> PublicForm:
        """How a stored value is shown in a key."""
        return PublicForm(self.arrow, lambda stored: stored)

    def as_answer(self) -> PublicForm:
        """How an answer that is a value of the field is shown; it comes as a float."""
        return PublicForm(pa.int64(), int)

    def in_message(self, stored: Any) -> str:
        """A stored value as messages show it."""
        return repr(stored)
