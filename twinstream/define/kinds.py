"""What the values of an expression can be: a kind for all numbers, one for conditions, and those
that a type of field declares beside itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal as Exact
from typing import Any

from twinstream.define.operations import Operation


@dataclass(frozen=True)
class ValueKind:
    """Values that can be compared with each other.

    `written`: canonical text of a stored value, given its decimal places. `literal`: stored form of
    a plain value that a definition holds beside such an expression, None where it is not a literal of
    this kind. `parts`: numbers that can be asked of a value, by name. `difference`: the kind of
    `a - b`, None where there is no difference. `objects`: NumPy holds its values as objects.
    """

    name: str
    written: Callable[[Any, int], str]
    literal: Callable[[Any], Any] = lambda _: None
    parts: Mapping[str, Operation] = field(default_factory=dict)
    difference: ValueKind | None = None
    objects: bool = False


NUMBER = ValueKind("number", lambda value, places: format(Exact(value).scaleb(-places), "f"))
"""Whole numbers scaled by 10**places; its literals are those of `expressions`."""
BOOL = ValueKind(
    "bool", lambda value, _: str(value), lambda value: value if isinstance(value, bool) else None
)
"""Conditions."""
