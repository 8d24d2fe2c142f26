"""What compiled code needs and Python has no word for: arrays that count no references, the lowest
bit that is set.
"""

# Each compiled function that is given an array counts a reference to it and gives it back, which in
# a loop of small functions costs several times what they do. A lent array is never counted:
#
#     outer(a)          owns `a` while it waits for `inner`
#       inner(a)        b = lent(a)
#         small(b) ...  counts nothing
#
# Rule: only what is given to a function as an argument is lent, and never returned by it, for its
# caller keeps it alive. An array that is lent by the function which made it is freed at once.

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba.core import cgutils
from numba.core.imputils import impl_ret_untracked
from numba.cpython.unsafe import numbers
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from twinstream.algebra.compiled.jit import compiled
from twinstream.algebra.tables import Tables

Array = TypeVar("Array")


def _lending(_context: Any, array: Any) -> Any:
    """The same array without its owner (numba's `meminfo`); such a one is not counted."""

    def write(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        lent_array = make_array(array)(context, builder, given[0])
        for owner in ("meminfo", "parent"):
            setattr(lent_array, owner, cgutils.get_null_value(getattr(lent_array, owner).type))
        return impl_ret_untracked(context, builder, array, lent_array._getvalue())  # noqa: SLF001

    if not isinstance(array, numba.types.Array):
        raise numba.TypingError("only an array can be lent")
    return array(array), write


lent: Callable[[Array], Array] = intrinsic(_lending)
trailing_zeros: Callable[[int], int] = numbers.trailing_zeros
"""The number of the lowest bit that is set."""


@compiled
def lent_tables(t: Tables) -> Tables:
    """A plan's tables, lent."""
    return Tables(
        lent(t.hops),
        lent(t.fixed),
        lent(t.sparse),
        lent(t.windows),
        lent(t.outputs),
        lent(t.divisors),
        lent(t.stands_for),
    )
