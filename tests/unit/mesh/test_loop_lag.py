"""The lag of an event loop is how long what is ready waits for its turn."""

from __future__ import annotations

import asyncio
import time

from twinstream.mesh.loop_lag import EVERY_S, FEW_WAITING, MOST_READING_S, LoopLag


def blocked_for(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(EVERY_S)


def test_a_loop_that_was_held_up_is_late_and_recovers() -> None:
    async def play() -> tuple[float, float]:
        lag = LoopLag()
        lag.watch()
        await turns(2)
        blocked_for(0.3)
        for _ in range(2):  # what was ready before comes first
            await asyncio.sleep(0)
        late = lag.seconds
        while lag.seconds > 0.1:
            await turns(1)
        return late, lag.seconds

    late, after = asyncio.run(play())
    assert late >= 0.3 - EVERY_S
    assert after < late


def test_what_comes_while_the_loop_is_held_up_is_a_crowd() -> None:
    async def play() -> list[bool]:
        lag = LoopLag()
        lag.watch()
        await turns(2)
        before = [lag.crowded() for _ in range(FEW_WAITING + 1)]
        blocked_for(MOST_READING_S + EVERY_S)
        return [*before, lag.crowded()]

    found = asyncio.run(play())
    assert found[:FEW_WAITING] == [False] * FEW_WAITING
    assert found[-1]


def test_it_is_watched_once_in_each_loop() -> None:
    lag = LoopLag()

    async def play() -> int:
        lag.watch()
        lag.watch()
        before = lag.seconds
        blocked_for(0.05)
        await turns(3)
        return int(before)

    assert [asyncio.run(play()) for _ in range(2)] == [0, 0]
