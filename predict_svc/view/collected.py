"""Partials that wait to be written together: for a moment, longer while writing is slow."""

from __future__ import annotations

import asyncio
import time

from predict_svc.view.settings import ViewSettings
from twinstream.mesh.carrier import CarriedMessage, TopicPartition

Pending = dict[TopicPartition, list[tuple[int, bytes]]]


class Collected:
    """(offset, value) of partials by partition, in order."""

    def __init__(self, knobs: ViewSettings) -> None:
        self._knobs = knobs
        self._pending: Pending = {}
        self._bytes = 0
        self._due = 0.0
        self._pause_s = knobs.flush_s
        self._arrived = asyncio.Event()

    def __contains__(self, tp: TopicPartition) -> bool:
        return tp in self._pending

    def add(self, tp: TopicPartition, message: CarriedMessage) -> bool:
        """Whether it is time to write."""
        self._pending.setdefault(tp, []).append((message.offset, message.value))
        self._bytes += len(message.value)
        now = time.monotonic()
        if not self._arrived.is_set():
            self._due = now + self._pause_s
            self._arrived.set()
        return now >= self._due or self._bytes >= self._knobs.flush_bytes

    async def is_due(self) -> None:
        """Wait until something was collected, and its moment is over."""
        await self._arrived.wait()
        await asyncio.sleep(max(0.0, self._due - time.monotonic()))

    def taken(self) -> Pending:
        """All of it."""
        pending = self._pending
        self._pending = {}
        self._bytes = 0
        self._arrived.clear()
        return pending

    def took(self, seconds: float) -> None:
        """How long it took to write: larger writes cost less a key."""
        self._pause_s = min(max(self._knobs.flush_s, 2 * seconds), self._knobs.flush_most_s)
