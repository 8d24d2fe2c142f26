"""Coroutines that are run at once, without a task, as far as they need not wait (what Python 3.12
calls an eager task).
"""

from __future__ import annotations

import functools
import types
from collections.abc import Coroutine, Generator
from typing import Any


def begun(work: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any] | None:
    """Run a coroutine up to where it has to wait; return what is left to await, None when it came
    to its end.
    """
    try:
        waits_for = work.send(None)
    except StopIteration:
        return None
    return _awaited(work, waits_for)


async def _awaited(work: Coroutine[Any, Any, Any], waits_for: Any) -> None:
    """A coroutine of the native kind: for Faust a generator is nothing to wait for."""
    await _rest(work, waits_for)


@types.coroutine
def _rest(work: Coroutine[Any, Any, Any], waits_for: Any) -> Generator[Any, Any, None]:
    """Passes on what the event loop and the coroutine say to each other."""
    while True:
        try:
            yield waits_for
        except BaseException as error:  # noqa: BLE001  it is the coroutine's to handle
            step = functools.partial(work.throw, error)
        else:
            step = functools.partial(work.send, None)
        try:
            waits_for = step()
        except StopIteration:
            return
