"""The vocabulary in which an aggregate is declared: what is taken from a record, the slots that keep it, the form of its answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from fractions import Fraction
from typing import Any

import msgspec

from twinstream.algebra import layout


class Take(StrEnum):
    """What a column takes from each record that has a value and meets the condition."""

    ONE = "one"  # 1
    VALUE = "value"  # the stored integer; true is 1
    CATEGORY = "category"  # the index of the value in `categories`; other values are not taken
    BUCKET = "bucket"  # the id of the value's DDSketch bucket
    REGISTER = "register"  # the HLL register of the value, and its rank


class Form(IntEnum):
    """How words become an answer; `answer.py` has each one."""

    COUNT = 0  # a: ADD64
    SUM = 1  # a: ADD128, b: ADD64 (how many); null without a value
    MEAN = 2  # a: ADD128, b: ADD64
    VARIANCE = 3  # a: ADD128, b: ADD64, c: SQUARE192; of the population
    DEVIATION = 4  # the root of it
    VALUE = 5  # a: MIN or MAX
    MOMENT = 6  # a: FIRST, LAST or LASTK: the values, then nulls
    SHARE = 7  # a: ADD64 over b: ADD64
    COUNTS = 8  # a: TALLY
    QUANTILE = 9  # a: ADDMAP of buckets; parameter: which quantile
    DISTINCT = 10  # a: MAXMAP of registers


@dataclass(frozen=True)
class Column:
    """What is taken from a record: of a field (its name), of a condition (an Expr), or of the record itself (None)."""

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
    """`words` fixed words under an op of `layout`, or a sparse array (`words` = 0), fed by a column."""

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
    """What an aggregate module returns: the form of the answer, its slots, its width, and the power of 10**places that divides it."""

    form: Form
    slots: tuple[Slot, ...]
    power: int = 0
    width: int = 1
    parameter: Fraction = Fraction(0)


@dataclass(frozen=True)
class Taken:
    """The argument of an aggregate: a field's name or None for the record itself; with its `where` and parameters."""

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
