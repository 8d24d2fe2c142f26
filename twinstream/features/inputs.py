"""Names of a model's inputs, in the order in which a network takes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, Self

import msgspec


class InputNames(Protocol):
    """What a definition's `model.inputs` offers; a sequence is (name, length)."""

    @property
    def numeric(self) -> Sequence[str]: ...
    @property
    def categorical(self) -> Sequence[str]: ...
    @property
    def sequences(self) -> Sequence[tuple[str, int]]: ...


class Inputs(msgspec.Struct, frozen=True):
    """Input names: request field `origin`, derived `hour`, view output `by-origin.delay_1h`;
    a sequence is (name, length).
    """

    numeric: tuple[str, ...]
    categorical: tuple[str, ...] = ()
    sequences: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, names: InputNames) -> Self:
        """The same names as a value that can be stored and compared."""
        return cls(
            tuple(names.numeric),
            tuple(names.categorical),
            tuple((name, int(length)) for name, length in names.sequences),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """All names: numeric, categorical, sequences."""
        return (*self.numeric, *self.categorical, *(name for name, _ in self.sequences))

    @property
    def longest(self) -> int:
        """K of the sequences' array."""
        return max((length for _, length in self.sequences), default=0)

    def only(self, keep: Callable[[str], bool]) -> Inputs:
        """The inputs whose name is kept, in the same order."""
        return Inputs(
            tuple(filter(keep, self.numeric)),
            tuple(filter(keep, self.categorical)),
            tuple(s for s in self.sequences if keep(s[0])),
        )

    def request_only(self) -> Inputs:
        """The inputs that need no view: request fields and what is derived from them."""
        return self.only(lambda name: "." not in name)
