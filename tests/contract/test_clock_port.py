"""What every Clock does."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.unit.train.fakes import Hands
from twinstream.mesh.clock import Clock, ManualClock, WallClock

FIRST_US = 1_700_000_000_000_000
CLOCKS: dict[str, Callable[[], Clock]] = {
    "wall": WallClock,
    "manual": lambda: ManualClock(FIRST_US),
    "hands": lambda: Hands(FIRST_US / 1e6),
}


@pytest.mark.parametrize("made", CLOCKS.values(), ids=CLOCKS)
def test_a_clock_gives_whole_microseconds_that_do_not_go_back(made: Callable[[], Clock]) -> None:
    clock = made()
    seen = [clock.now_us() for _ in range(1000)]
    assert all(type(at_us) is int for at_us in seen)
    assert seen == sorted(seen)
    assert FIRST_US <= seen[0] <= time.time_ns() // 1000


def test_a_manual_clock_goes_forward_by_hand_alone() -> None:
    clock = ManualClock(FIRST_US)
    clock.advance(5)
    assert clock.now_us() == FIRST_US + 5
    with pytest.raises(ValueError, match="go back"):
        clock.advance(-1)
