"""The settings of training that a model's `search` may name, with their bounds:
checked when a definition is read, and again by training.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Bound(NamedTuple):
    """Values from `low` to `high`, both included; `above`: more than `low`.
    Whole numbers only, or any.
    """

    low: float
    high: float
    whole: bool = False
    above: bool = False

    def takes(self, value: object) -> bool:
        """Whether a value may be the setting; NaN never."""
        right = isinstance(value, int) if self.whole else isinstance(value, (int, float))
        if not right or isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return (self.low < value if self.above else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        first = f"above {self.low:g}, at most" if self.above else f"from {self.low:g} to"
        return f"{kind} {first} {self.high:g}"


TRAINING: Final[dict[str, Bound]] = {
    "learning_rate": Bound(0, 1e300, above=True),
    "weight_decay": Bound(0, 1e300),
    "batch_size": Bound(1, 2**31, whole=True),
    "max_epochs": Bound(1, 1_000_000, whole=True),
    "patience": Bound(1, 1_000_000, whole=True),
    "seed": Bound(0, 2**32 - 1, whole=True),
    "threads": Bound(0, 4096, whole=True),
}
TABULAR: Final[dict[str, Bound]] = {
    "width": Bound(1, 65_536, whole=True),
    "dropout": Bound(0, 1),
    "blocks": Bound(0, 1024, whole=True),
}
"""Arguments of `twinstream.nn.TabularNetwork`."""
