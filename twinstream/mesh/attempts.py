"""Counts the attempts at steps that can end their process: noted before the step,
so that a kill counts too.
"""

from __future__ import annotations

import time

from twinstream.mesh.quarantine import ATTEMPTS, Failure, Failures

KILLED = "the process ended while it did this"


class Attempts:
    """Attempts by step, over restarts; a step is named by a text that is the same after one."""

    def __init__(self, failures: Failures, most: int = ATTEMPTS) -> None:
        self._failures, self._most = failures, most

    def begin(self, step: str) -> bool:
        """Note one more attempt; False, and none noted, when there were enough."""
        known = self._of(step)
        if known.attempts >= self._most:
            return False
        self._note(step, known.attempts + 1, KILLED)
        return True

    def failed(self, step: str, error: Exception) -> bool:
        """Remember what the attempt met; True when another one is left."""
        attempts = self._of(step).attempts
        self._note(step, attempts, f"{type(error).__name__}: {error}")
        return attempts < self._most

    def met(self, step: str, error: Exception) -> bool:
        """As `begin` and `failed` in one, for a step of which only an error counts;
        True when another attempt is left.
        """
        self._note(step, self._of(step).attempts + 1, "")
        return self.failed(step, error)

    def undo(self, step: str) -> None:
        """The attempt does not count: an engine was away, or the process was told to stop."""
        known = self._of(step)
        if known.attempts > 1:
            self._note(step, known.attempts - 1, known.reason)
        else:
            self._failures.forget(step)

    def done(self, step: str) -> None:
        """The step is behind us, one way or another."""
        self._failures.forget(step)

    def why(self, step: str) -> str:
        """What the attempts so far came to."""
        known = self._of(step)
        return f"failed {known.attempts} times: {known.reason}"

    def _of(self, step: str) -> Failure:
        return self._failures.of(step) or Failure()

    def _note(
        self,
        step: str,
        attempts: int,
        reason: str,
    ) -> None:
        now_us = time.time_ns() // 1000
        failure = Failure(attempts=attempts, kind="bug", reason=reason[:500], at_us=now_us)
        self._failures.note(step, failure)
