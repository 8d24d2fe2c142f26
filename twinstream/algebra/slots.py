"""The vocabulary in which an aggregate is declared: what is taken from a record, and the slots that
keep it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Any, NamedTuple

import msgspec

from twinstream.algebra import layout


class Take(StrEnum):
    """What a column takes from each record that has a value and meets the condition."""

    ONE = "one"  # 1
    VALUE = "value"  # the stored integer; true is 1
    CATEGORY = "category"  # the index of the value in `categories`; other values are not taken
    BUCKET = "bucket"  # the id of the value's DDSketch bucket
    REGISTER = "register"  # the HLL register of the value, and its rank


@dataclass(frozen=True)
class Column:
    """What is taken from a record: of a field (its name), of a condition (an Expr), or of the
    record itself (None).
    """

    take: Take
    of: Any = field(compare=False)
    where: Any = field(compare=False)
    categories: tuple[Any, ...] = ()
    text: str = ""  # canonical; stands for `of` and `where` where columns are compared

    @classmethod
    def make(cls, take: Take, of: Any, where: Any, categories: tuple[Any, ...] = ()) -> Column:
        """A column with its canonical text."""
        return cls(take, of, where, categories, _canonical(of, where))


@dataclass(frozen=True)
class Slot:
    """`words` fixed words under an op of `layout`, or a sparse array (`words` = 0), fed by a
    column.
    """

    op: int
    column: Column
    words: int = 1

    @property
    def sparse(self) -> bool:
        return self.op >= layout.SPARSE

    @property
    def text(self) -> str:
        """Canonical, for the plan's digest."""
        column = self.column
        parts = [self.op, self.words, column.take, column.text, list(column.categories)]
        return msgspec.json.encode(parts).decode()


def _canonical(of: Any, where: Any) -> str:
    """Different for a field, an expression and the record itself, whatever characters they hold."""
    kind = "field" if isinstance(of, str) else "record" if of is None else "expression"
    return msgspec.json.encode([kind, str(of), None if where is None else str(where)]).decode()


@dataclass(frozen=True)
class Declaration:
    """What `declare` of an aggregate's module returns."""

    form: int
    """The module's FORM: the number of its answer in tables and digests. A number never gets
    another meaning.
    """
    slots: tuple[Slot, ...]
    power: int = 0
    """The answer is divided by 10**(places of the field * power)."""
    width: int = 1
    parameter: Fraction = Fraction(0)
    by_moment: bool = False
    """Whether the answer depends on the moment of the question, and not on its tiles alone."""


class Documented(NamedTuple):
    """A row of the reference of aggregates."""

    call: str
    answer: str
    no_value: str


@dataclass(frozen=True)
class Taken:
    """The argument of an aggregate: a field's name or None for the record itself; with its `where`
    and parameters.
    """

    of: Any
    where: Any
    params: dict[str, Any]

    def column(self, take: Take, *, of: Any = None, categories: tuple[Any, ...] = ()) -> Column:
        """A column of `of` (default: the argument)."""
        return Column.make(take, self.of if of is None else of, self.where, categories)

    def count(self) -> Slot:
        """How many records have a value and meet the condition."""
        return Slot(layout.ADD64, self.column(Take.ONE))

    def total(self) -> Slot:
        return Slot(layout.ADD128, self.column(Take.VALUE), 2)

    def squares(self) -> Slot:
        return Slot(layout.SQUARE192, self.column(Take.VALUE), 3)
