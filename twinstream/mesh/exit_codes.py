"""What the exit status of every process and command says; docs/reference/exit-codes.md is the same
list for users.
"""

from __future__ import annotations

from twinstream.errors import (
    DefinitionError,
    NotRunningError,
    SettingsError,
    WaitTimeoutError,
)

OK, FAILED, USAGE, NOT_RUNNING, TIMEOUT = 0, 1, 2, 3, 4
WORKER_FAILED = 70
INTERRUPTED, READER_GONE, TERMINATED = 130, 141, 143
MEANINGS = {
    OK: "done, or ended as asked",
    FAILED: "failed: the message says why",
    USAGE: "a wrong argument, setting or definition: trying again does not help",
    NOT_RUNNING: "what is asked does not run, or does not answer",
    TIMEOUT: "waited too long",
    WORKER_FAILED: "a Faust worker ended: it goes on from what its stores hold",
    INTERRUPTED: "Ctrl-C",
    READER_GONE: "nobody reads the output any more",
    TERMINATED: "ended by SIGTERM",
}
_KINDS = (
    (NotRunningError, NOT_RUNNING),
    (WaitTimeoutError, TIMEOUT),
    (SettingsError, USAGE),
    (DefinitionError, USAGE),
)


def exit_code(error: BaseException) -> int:
    """The status of a process that an error ends."""
    return next((code for kind, code in _KINDS if isinstance(error, kind)), FAILED)
