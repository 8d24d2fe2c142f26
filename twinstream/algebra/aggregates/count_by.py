"""count_by: one count for each declared category, in their order; other values are not counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twinstream.algebra import layout
from twinstream.algebra.compiled.jit import compiled_late
from twinstream.algebra.merged import Merged, Slots, counted
from twinstream.algebra.slots import Declaration, Documented, Slot, Take, Taken
from twinstream.define.aggregates import Bound, Declared, aggregate
from twinstream.define.field_types import TYPES
from twinstream.define.location import refuse, shown
from twinstream.define.plain import fitted, listed, plain
from twinstream.define.recording import Condition

FORM = 8
MOST = 64
DOCUMENTED = Documented(
    "`count_by(field, categories=[...])`",
    "one count for each category, in that order; other values are not counted",
    "zeros",
)


def count_by(
    field: str, categories: Sequence[Any], *, where: Condition | str | None = None
) -> Declared:
    """Records of each category, in the order given; other values are not counted."""
    found = _listed(field, categories)
    return aggregate(
        "count_by",
        field,
        where,
        any_type=True,
        width=len(found),
        params={"categories": found},
        check=_check,
    )


def _listed(field: str, categories: Sequence[Any]) -> tuple[Any, ...]:
    """The categories as plain values; refuses what cannot be told apart."""
    what = f"the categories of count_by({shown(field)})"
    found = () if isinstance(categories, str) else listed(categories, what)
    found = tuple(plain(category, what) for category in found)
    known = all(isinstance(category, (bool, int, str)) for category in found)
    if not 1 <= len(found) <= MOST or not known or len(set(found)) < len(found):
        refuse(
            f"count_by({shown(field)}, {shown(categories)}) needs a list of distinct categories",
            "as in count_by('carrier', ['AA', 'UA']): texts, whole numbers, or True and False, "
            f"at most {MOST}",
        )
    return found


def _check(bound: Bound) -> None:
    """Categories must be values of the field."""
    if not bound.type.countable:
        known = ", ".join(kind.__name__ for kind in TYPES if kind.countable)
        refuse(
            f"count_by needs one of {known}, but {bound.field!r} is a {type(bound.type).__name__}",
            "take another field, or count with where=",
            bound.at,
        )
    for category in bound.params["categories"]:
        fitted(category, bound.type, f"the categories of count_by({bound.field!r})", bound.at)


def declare(taken: Taken) -> Declaration:
    categories = tuple(taken.params["categories"])
    column = taken.column(Take.CATEGORY, categories=categories)
    slot = Slot(layout.TALLY, column, len(categories))
    return Declaration(FORM, (slot,), width=len(categories))


@compiled_late
def answer(m: Merged, s: Slots) -> float:
    return counted(m.words[s.a + s.k])
