"""What Faust is given to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any

import pytest
from mode import Service

from twinstream.mesh.eager import begun


async def work(seen: list[str], *gates: asyncio.Event) -> None:
    for gate in gates:
        try:
            await gate.wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        seen.append("passed")


def test_what_need_not_wait_is_done_at_once() -> None:
    async def main() -> None:
        seen: list[str] = []
        gate = asyncio.Event()
        gate.set()
        assert begun(work(seen, gate, gate)) is None
        assert seen == ["passed", "passed"]

    asyncio.run(main())


def test_what_has_to_wait_is_waited_for_by_a_service_of_faust() -> None:
    async def main() -> None:
        seen: list[str] = []
        first, second, never = asyncio.Event(), asyncio.Event(), asyncio.Event()
        rest = begun(work(seen, first, second))
        assert isinstance(rest, Awaitable)
        asyncio.get_running_loop().call_soon(first.set)
        asyncio.get_running_loop().call_later(0.01, second.set)
        await Service().wait_first(rest, never.wait())
        assert seen == ["passed", "passed"]

    asyncio.run(main())


def test_what_is_given_up_is_cancelled() -> None:
    async def main() -> None:
        seen: list[str] = []
        done = asyncio.Event()
        done.set()
        rest = begun(work(seen, asyncio.Event()))
        assert rest is not None
        await Service().wait_first(rest, done.wait())
        await asyncio.sleep(0)
        assert seen == ["cancelled"]

    asyncio.run(main())


def test_what_fails_after_a_wait_fails_where_it_is_awaited() -> None:
    async def failing() -> None:
        await asyncio.sleep(0)
        raise ValueError("too late")

    async def main() -> None:
        rest: Coroutine[Any, Any, Any] | None = begun(failing())
        assert rest is not None
        with pytest.raises(ValueError, match="too late"):
            await rest

    asyncio.run(main())
