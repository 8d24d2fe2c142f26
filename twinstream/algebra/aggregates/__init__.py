"""One module an aggregate, found by its kind: `declare(taken) -> Declaration` says which slots it keeps and how they answer."""

from __future__ import annotations

from functools import cache
from importlib import import_module, util
from typing import Any

from twinstream.algebra.slots import Declaration, Taken
from twinstream.errors import MeshError


class UnknownAggregateError(MeshError, LookupError):
    """There is no module for this kind of aggregate."""


def declaration(kind: str, of: Any, where: Any, params: dict[str, Any]) -> Declaration:
    """What an aggregate of this kind keeps and answers."""
    declared: Declaration = _module(kind).declare(Taken(of, where, params))
    return declared


@cache
def _module(kind: str) -> Any:
    name = f"{__name__}.{kind}"
    if not kind.isidentifier() or util.find_spec(name) is None:
        raise UnknownAggregateError(
            f"no aggregate is called {kind!r}: add twinstream/algebra/aggregates/{kind}.py"
        )
    return import_module(name)
