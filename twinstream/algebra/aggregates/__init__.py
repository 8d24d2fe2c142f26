"""One module an aggregate, found by its kind. `twinstream.algebra.generate` writes what is derived
from all of them.

A module holds, in this order: FORM, the number of its answer; DOCUMENTED, its row of the reference;
its constructor, which has its name; `declare(taken)`, the slots that it keeps; `answer(merged,
slots)`, what they say at the moment of a question. Aggregates whose slots are read alike share FORM
and `answer`.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from typing import Any

from twinstream.algebra.slots import Declaration, Taken
from twinstream.errors import MeshError


class UnknownAggregateError(MeshError, LookupError):
    """There is no module for this kind of aggregate."""


def kinds() -> list[str]:
    """Every kind of aggregate."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def declaration(kind: str, of: Any, where: Any, params: dict[str, Any]) -> Declaration:
    """What an aggregate of this kind keeps and answers."""
    declared: Declaration = module_of(kind).declare(Taken(of, where, params))
    return declared


@cache
def module_of(kind: str) -> Any:
    """The module of a kind."""
    if kind not in kinds():
        raise UnknownAggregateError(
            f"no aggregate is called {kind!r}: add twinstream/algebra/aggregates/{kind}.py"
        )
    return import_module(f"{__name__}.{kind}")
