"""A reference to a network's class, so that a definition can name it without importing PyTorch."""

from __future__ import annotations

import importlib
from typing import Any

from twinstream.define.location import refuse, shown


class Network:
    """Stands for a class: `resolve()` gives it; calling or subclassing the reference does so too.

    `path` is the class's dotted name; `__module__` and `__qualname__` are those of the class.
    """

    def __init__(self, path: str, loaded: type | None = None) -> None:
        self.path, self._loaded = path, loaded
        self.__module__, _, self.__qualname__ = path.rpartition(".")
        self.__name__ = self.__qualname__

    @property
    def loaded(self) -> type | None:
        """The class where it is here already: naming it imports nothing."""
        return self._loaded

    def resolve(self) -> type:
        """The class; imports its module.

        Raises ImportError or AttributeError when it is not there.
        """
        if self._loaded is None:
            module, _, name = self.path.rpartition(".")
            self._loaded = getattr(importlib.import_module(module), name)
        return self._loaded

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.resolve()(*args, **kwargs)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (self.resolve(),)

    def __reduce__(self) -> tuple[Any, ...]:
        return Network, (self.path,)

    def __repr__(self) -> str:
        return self.path


def network_of(given: Any) -> Network:
    """A reference from a class, a dotted name, or a reference."""
    if isinstance(given, Network):
        return given
    if (
        isinstance(given, str)
        and "." in given
        and all(part.isidentifier() for part in given.split("."))
    ):
        return Network(str.__str__(given))
    if isinstance(given, type):
        return Network(f"{given.__module__}.{given.__qualname__}", given)
    return refuse(
        f"network is {shown(given)}",
        (
            "give a subclass of torch.nn.Module, or its dotted name as in "
            "'twinstream.nn.TabularNetwork'"
        ),
    )
