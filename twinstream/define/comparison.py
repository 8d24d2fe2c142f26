"""Comparisons of a declared aggregate with a number: how a label over the time after the question
becomes true or false.
"""

# ruff: noqa: PLE0304  (__bool__ refuses)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt, ne
from typing import Any, NoReturn

from twinstream.define.location import Location, here, refuse

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "<": lt,
    "<=": le,
    "==": eq,
    "!=": ne,
    ">": gt,
    ">=": ge,
}


class Comparable:
    """What a comparison operator makes a Comparison of."""

    def __lt__(self, other: object) -> Comparison:
        return Comparison(self, "<", other, here())

    def __le__(self, other: object) -> Comparison:
        return Comparison(self, "<=", other, here())

    def __gt__(self, other: object) -> Comparison:
        return Comparison(self, ">", other, here())

    def __ge__(self, other: object) -> Comparison:
        return Comparison(self, ">=", other, here())

    def __eq__(self, other: object) -> Comparison:  # type: ignore[override]
        return Comparison(self, "==", other, here())

    def __ne__(self, other: object) -> Comparison:  # type: ignore[override]
        return Comparison(self, "!=", other, here())

    def __hash__(self) -> int:
        return id(self)

    def __add__(self, other: object) -> NoReturn:
        refuse(
            "an aggregate is not a number to compute with while a definition is read",
            "compare it with one number, as in sum_('amount') > 10",
        )

    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __add__

    def __neg__(self) -> NoReturn:
        self.__add__(0)


@dataclass(frozen=True, eq=False)
class Comparison:
    """An aggregate compared with something, as written: `count() > 0`."""

    left: Any
    op: str
    right: Any
    at: Location

    def __repr__(self) -> str:
        return f"a comparison of {getattr(self.left, 'kind', self.left)}(...)"

    def __bool__(self) -> NoReturn:
        refuse(
            "a comparison of an aggregate has no truth value while a definition is read",
            "compare one aggregate with one number, as in count() > 0",
        )

    def __and__(self, other: object) -> NoReturn:
        self.__bool__()

    __or__ = __rand__ = __ror__ = __and__
    __lt__ = __le__ = __gt__ = __ge__ = __and__

    def __invert__(self) -> NoReturn:
        self.__bool__()
