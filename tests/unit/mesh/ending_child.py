"""A process of which `test_ending.py` sees how it ends: `python -m THIS CASE`."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable

from twinstream.errors import NotRunningError, SettingsError
from twinstream.mesh import log
from twinstream.mesh.ending import Ending
from twinstream.mesh.heartbeat import every_second

LONG_S, DRAIN_S = 30.0, 0.3
ENDING = Ending(DRAIN_S)


def say(word: str) -> None:
    print(word, flush=True)


def raises(error: BaseException) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


def until_stopped(then: Callable[[], object] = lambda: None) -> None:
    say("begun")
    assert ENDING.stopping.wait(LONG_S)
    then()


def never_ends() -> None:
    ENDING.if_broken_off(lambda: say("forgive me"))
    say("begun")
    time.sleep(LONG_S)  # one sleep: the signal's handler runs in it, and it goes on
    time.sleep(LONG_S)


def interrupted() -> None:
    ENDING.on_stop(sys.exit)
    say("begun")
    time.sleep(LONG_S)


def with_thread(work: Callable[[], object]) -> Callable[[], None]:
    def wait() -> None:
        ENDING.thread("beside", work)
        time.sleep(LONG_S)

    return wait


def plain(target: Callable[..., object], *args: object) -> None:
    """A thread that nobody supervises by name."""
    thread = threading.Thread(target=target, args=args, name="plain", daemon=True)
    thread.start()
    thread.join()


def goodbyes() -> None:
    ENDING.at_end(lambda: say("last"))
    ENDING.at_end(raises(OSError("the disk is full")))
    ENDING.at_end(lambda: say("first"))


CASES: dict[str, Callable[[], object]] = {
    "returns": lambda: None,
    "stops": until_stopped,
    "stops by an error": lambda: until_stopped(raises(RuntimeError("the engine ended"))),
    "never ends": never_ends,
    "interrupted": interrupted,
    "setting": raises(SettingsError("X is wrong")),
    "away": raises(NotRunningError("Kafka is away")),
    "bug": raises(ZeroDivisionError("one by zero")),
    "exits": lambda: sys.exit(70),
    "thread with a bug": with_thread(raises(ZeroDivisionError("one by zero"))),
    "thread with a setting": with_thread(raises(SettingsError("X is wrong"))),
    "thread that returns": with_thread(lambda: None),
    "plain thread": lambda: plain(every_second, ENDING.stopping, raises(OSError("no disk"))),
    "engine's thread": lambda: plain(json.loads, "{"),
    "goodbyes": goodbyes,
    "a thread that stays": lambda: threading.Thread(target=time.sleep, args=(LONG_S,)).start(),
}


if __name__ == "__main__":
    log.configure("child")
    ENDING.listen()
    ENDING.watch_threads()
    ENDING.leave(ENDING.run(CASES[sys.argv[1]]))
