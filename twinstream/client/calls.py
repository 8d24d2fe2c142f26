"""One call as data, and when it is made again: what the client with threads and the one with
coroutines share.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import httpx
import msgspec

from twinstream.client.encoding import JSON
from twinstream.client.errors import (
    DeadlineError,
    ForeignAnswerError,
    UnreachableError,
    error_of,
)
from twinstream.errors import UNDECODABLE

T = TypeVar("T")
BUSY = (429, 503)
"""The service did not begin: it may be asked again whatever the call does."""
LONGEST_TEXT = 200


class Retries(msgspec.Struct, frozen=True, kw_only=True):
    """At most so many further attempts; the pause before number n is up to `first_s * 2**n`, at
    most `longest_s`.
    """

    most: int = 4
    first_s: float = 0.1
    longest_s: float = 5.0


class Call(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A request. `repeatable`: made twice it does what it does made once. `taken`: statuses whose
    body is the answer.
    """

    method: str
    url: str
    answer: type[T]
    body: bytes | None = None
    query: list[tuple[str, str]] = []
    repeatable: bool = True
    taken: tuple[int, ...] = (200,)

    def request(self) -> dict[str, Any]:
        """What httpx builds it from."""
        headers = {"content-type": JSON} if self.body is not None else {}
        return {
            "method": self.method,
            "url": self.url,
            "content": self.body,
            "params": self.query or None,
            "headers": headers,
        }

    def read(self, status: int, body: bytes) -> T:
        """The answer; raises the ClientError that the service means."""
        if status not in self.taken:
            raise error_of(status, body)
        try:
            return msgspec.json.decode(body, type=self.answer)
        except UNDECODABLE as error:
            if status >= 400:
                raise error_of(status, body) from error
            said = body[:LONGEST_TEXT].decode(errors="replace")
            raise ForeignAnswerError(
                f"{self.url} answered {status} with {said!r}: {error}", status=status
            ) from error


class Attempts:
    """The attempts of one call: how long the next may take, and how long to pause before it."""

    def __init__(
        self,
        call: Call[Any],
        retries: Retries,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._call, self._retries, self._clock, self._chance = call, retries, clock, chance
        self._timeout_s, self._end = timeout_s, clock() + timeout_s
        self._made = 0

    def left(self) -> float:
        """Seconds that are left; raises DeadlineError when none are."""
        left = self._end - self._clock()
        if left <= 0:
            raise self.late()
        return left

    def late(self) -> DeadlineError:
        """The call's time is over."""
        return DeadlineError(f"no answer from {self._call.url} within {self._timeout_s:g} s")

    def pause_after(self, status: int, headers: httpx.Headers) -> float | None:
        """Seconds to wait before it is asked again; None: this answer is the last."""
        if status not in BUSY:
            return None
        return self._pause(_seconds(headers.get("retry-after", "")))

    def pause_after_break(self, error: httpx.RequestError) -> float:
        """Seconds to wait before it is asked again; raises what the broken attempt means.

        Where no connection came about, nothing was asked: that is repeated whatever the call does.
        """
        if isinstance(error, httpx.TimeoutException) and self._clock() >= self._end:
            raise self.late() from error
        begun = not isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))
        pause = self._pause(0.0) if self._call.repeatable or not begun else None
        if pause is None:
            raise UnreachableError(f"{self._call.url}: {error or type(error).__name__}") from error
        return pause

    def _pause(self, asked_s: float) -> float | None:
        """Backoff with full jitter, never shorter than what the service asks for; None: no
        attempt is left, or no time.
        """
        if self._made >= self._retries.most:
            return None
        most = min(self._retries.longest_s, self._retries.first_s * 2**self._made)
        pause = asked_s + most * self._chance()
        if self._clock() + pause >= self._end:
            return None
        self._made += 1
        return pause


def _seconds(text: str) -> float:
    """A Retry-After of seconds; a date of another clock is not trusted."""
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0.0
