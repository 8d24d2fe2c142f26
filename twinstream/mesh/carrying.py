"""Runs a worker over its carrier until it is told to stop, fails, or stands still; then its
supervisor starts it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import NoReturn

import structlog
import uvloop

from twinstream.errors import MessageRefusedError
from twinstream.mesh import collecting
from twinstream.mesh.carrier import Carrier
from twinstream.mesh.ending import gone
from twinstream.mesh.exit_codes import OK, WORKER_FAILED
from twinstream.mesh.kafka import ends
from twinstream.mesh.kafka.ends import EndsWatched
from twinstream.mesh.process import Process
from twinstream.mesh.service import Own
from twinstream.mesh.watchdog import Watchdog, Work

_log = structlog.get_logger()
FAILED = WORKER_FAILED


Beat = Callable[[int | None], None]
Task = Callable[[], Awaitable[None]]


def run(
    process: Process[Own],
    carrier: Carrier,
    beat: Beat,
    tasks: Iterable[Task] = (),
    loop: asyncio.AbstractEventLoop | None = None,
) -> NoReturn:
    """Run a worker until it is told to stop (exit 0) or fails (exit 70). `beat(lag)` is called once
    a second; `tasks` run beside.

    While Kafka cannot be reached, a worker that does not move waits, and does not hang.
    """
    loop = loop or event_loop()
    process.ending.on_stop(lambda: end(OK))
    watched = ends.watched(process.settings, carrier.options.topics)
    work = _main(carrier, beat, list(tasks), lambda: process.reach.away, watched)
    try:
        loop.run_until_complete(work)
    except BaseException:  # noqa: BLE001
        _log.exception("worker_failed")
    end(FAILED)


def event_loop() -> asyncio.AbstractEventLoop:
    """This thread's loop from now on; those that an engine makes for its own threads are alike."""
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop


def end(status: int) -> NoReturn:
    """Leave now. Nothing needs a goodbye: what was done is in Kafka or in the store, with its
    place.
    """
    _log.info("worker_ended", status=status)
    gone(status)


def never_taken(
    topic: str,
    partition: int,
    value: bytes,
) -> MessageRefusedError:
    """Of a message that no broker takes."""
    return MessageRefusedError(
        f"{topic}[{partition}]: Kafka never takes a message of {len(value)} bytes; a view with "
        "fewer states a key, or smaller packs (TWINSTREAM_INGEST_PACK_ROWS), make smaller ones"
    )


async def _main(
    carrier: Carrier,
    beat: Beat,
    tasks: list[Task],
    away: Callable[[], str],
    watched: EndsWatched,
) -> None:
    watchdog = Watchdog(carrier.options.stall_s)
    beat(None)
    await carrier.start()
    running: list[asyncio.Future[None]] = [asyncio.ensure_future(task()) for task in tasks]
    collecting.rarely()
    while not carrier.ended():
        lag = watched.lag(carrier.carried.next_offsets())
        beat(lag)
        watchdog.tick(*_works(carrier, lag, counts=not away()))
        await _a_second(running)
    _log.error("worker_crashed", reason=carrier.ended())


def _works(
    carrier: Carrier,
    lag: int | None,
    *,
    counts: bool,
) -> tuple[Work, Work]:
    """What is left; nothing `counts` while Kafka cannot be reached."""
    following = tuple(carrier.carried.next_offsets().items())
    return (
        Work("to read", (lag or 0) * counts, following),
        Work("to be confirmed", carrier.unconfirmed * counts, carrier.confirmed),
    )


async def _a_second(running: list[asyncio.Future[None]]) -> None:
    """Pass one; raises what a task beside raised."""
    pause = asyncio.ensure_future(asyncio.sleep(1.0))
    done, _ = await asyncio.wait([*running, pause], return_when=asyncio.FIRST_COMPLETED)
    for task in done & set(running):
        task.result()
        running.remove(task)
