"""How a command ends: quietly when its reader went away, within a second on Ctrl-C,
always with an exit code that is documented.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time

from twinstream.mesh.exit_codes import INTERRUPTED

GRACE_S = 0.8
"""So long has a command after Ctrl-C to end by itself: a call into an engine's library cannot be
interrupted.
"""
SLOW_TO_END = {"up", "down", "demo", "score"}
"""Commands that have processes to stop."""


def output_is_gone() -> bool:
    """Whether nobody reads standard output any more, as after `| head`."""
    try:
        asked = select.poll()
        asked.register(sys.stdout.fileno(), select.POLLERR)
        found = asked.poll(0)
    except (OSError, ValueError):
        return False
    return any(events & (select.POLLERR | select.POLLNVAL) for _, events in found)


def forget_output() -> None:
    """Let the interpreter's last flush of a closed pipe go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def promptly(command: str) -> None:
    """End this process within a second of Ctrl-C, whatever it is waiting in."""
    if command in SLOW_TO_END or threading.current_thread() is not threading.main_thread():
        return
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    threading.Thread(target=_end_after, args=(heard,), daemon=True, name="ctrl-c").start()


def _end_after(heard: int) -> None:
    while os.read(heard, 1)[0] != signal.SIGINT:
        pass
    time.sleep(GRACE_S)
    os._exit(INTERRUPTED)
