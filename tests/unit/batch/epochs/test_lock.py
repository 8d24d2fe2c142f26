"""One batch process of a data folder at a time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from pathlib import Path
from typing import Any

from preprocess_svc.batch.epochs.lock import FolderLock

BOUND_S = 30.0


def hold(data: str, told: Any) -> None:
    lock = FolderLock(data)
    assert lock.acquire(threading.Event())
    told.send("held")
    signal.pause()


def test_the_second_process_waits_until_the_first_is_gone_however_it_ends(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    heard, told = context.Pipe(duplex=False)
    first = context.Process(target=hold, args=(str(tmp_path), told), daemon=True)
    first.start()
    assert heard.poll(BOUND_S)
    assert first.pid is not None
    second, stopping, acquired = FolderLock(str(tmp_path)), threading.Event(), threading.Event()
    waiting = threading.Thread(
        target=lambda: second.acquire(stopping) and acquired.set(), daemon=True
    )
    waiting.start()
    os.kill(first.pid, signal.SIGSTOP)
    assert not acquired.wait(1.0)  # asleep is not gone: it would go on where it was
    os.kill(first.pid, signal.SIGKILL)
    assert acquired.wait(BOUND_S)
    waiting.join()
    second.release()
    first.join(BOUND_S)


def test_who_is_told_to_stop_waits_no_longer(tmp_path: Path) -> None:
    first, second, stopping = (
        FolderLock(str(tmp_path)),
        FolderLock(str(tmp_path)),
        threading.Event(),
    )
    assert first.acquire(stopping)
    stopping.set()
    assert not second.acquire(stopping)
    first.release()
    assert second.acquire(threading.Event())
    second.release()
