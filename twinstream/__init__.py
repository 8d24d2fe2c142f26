"""Twinstream: a Lambda architecture for deep learning. What a definition file and a client
import; loads no engine.

A name is loaded when it is first asked for: a client needs no Arrow, a definition no HTTP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twinstream.aggregates import *  # noqa: F403
    from twinstream.client import AsyncClient as AsyncClient
    from twinstream.client import Client as Client
    from twinstream.datasets import dataset as dataset
    from twinstream.datasets.stored_set import Dataset as Dataset
    from twinstream.language import *  # noqa: F403
else:
    from importlib import import_module
    from importlib.util import find_spec

    _HOMES = {
        "AsyncClient": "twinstream.client",
        "Client": "twinstream.client",
        "Dataset": "twinstream.datasets.stored_set",
        "dataset": "twinstream.datasets",
    }
    """Modules of the names that are not of the definition language."""

    def __getattr__(name: str) -> object:
        """A public name, from the module that defines it. Raises AttributeError."""
        if name in _HOMES:
            return getattr(import_module(_HOMES[name]), name)
        if name == "__all__":
            return [*_HOMES, *import_module("twinstream.language").__all__]
        if not name.startswith("_") and find_spec(f"{__name__}.{name}") is None:
            language = import_module("twinstream.language")
            if name in language.__all__:
                return getattr(language, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=None)

    def __dir__() -> list[str]:
        return [*globals(), *__getattr__("__all__")]
