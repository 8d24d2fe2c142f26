"""How fresh an answer is, and waiting until it is as fresh as a request asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import msgspec

from predict_svc.api.messages import BehindError, NotReadyError, RequestError, Wish
from predict_svc.api.serving import ViewReads
from predict_svc.api.view_lookup import joined
from predict_svc.view.errors import ViewBehindError
from schemas.events import ViewPosition
from twinstream.mesh.problems import Place


class RawEnds(Protocol):
    """Where the raw topics end."""

    def __call__(
        self, sources: Sequence[str], max_age_ms: float
    ) -> Mapping[str, Mapping[int, int]]:
        """Last raw offset of each partition as of some moment not longer ago than that."""

    def age_ms(self, source: str, raw: Mapping[int, int]) -> float | None:
        """How long ago a topic held nothing beyond these offsets; None when it is longer than is remembered."""


class Freshness:
    """What the views of this host contain, beside what the raw topics hold. `sources`: names of all sources of the definition."""

    def __init__(
        self,
        readers: Mapping[str, ViewReads],
        sources: Collection[str],
        raw_ends: RawEnds,
        *,
        wait_bound_s: float,
        waiters: int = 6,
    ) -> None:
        self._readers = readers
        self._sources = sources
        self._raw_ends = raw_ends
        self._source_of = {name: reader.plan.view.source.name for name, reader in readers.items()}
        self._wait_bound_s = wait_bound_s
        self._waiters = threading.BoundedSemaphore(waiters)

    def age_ms(self, positions: Mapping[str, ViewPosition]) -> float | None:
        """The age of the oldest of these views; None when one of them is older than is remembered."""
        ages = [
            self._raw_ends.age_ms(self._source_of[view], seen.raw)
            for view, seen in positions.items()
        ]
        known = [age for age in ages if age is not None]
        return round(max(known, default=0.0), 3) if len(known) == len(ages) else None

    def wait(self, wish: Wish, views: Sequence[str], epoch: int | None) -> None:
        """Returns when every view, read at `epoch`, contains what is wished of its source; raises BehindError after the bound."""
        wanted = self._wanted(wish, views)
        give_up = time.monotonic() + self._wait_bound_s
        for view in views:
            raw = wanted.get(self._source_of[view])
            if raw:
                self._wait_for(view, dict(raw), give_up - time.monotonic(), epoch)

    def _wait_for(self, view: str, raw: dict[int, int], bound_s: float, epoch: int | None) -> None:
        reader = self._readers[view]
        if not self._waiters.acquire(blocking=False):
            raise NotReadyError(
                "too many requests wait for a position", Place(remedy="try again in a moment")
            )
        try:
            reader.wait_for(raw, max(bound_s, 0.0), None, epoch)
        except ViewBehindError as error:
            found = msgspec.json.encode(joined(list(reader.positions(epoch).values()))).decode()
            raise BehindError(
                f"view {view} did not reach {raw} within {self._wait_bound_s:g} s,"
                f" it is at {found}",
                Place(remedy="ask again, or for less"),
            ) from error
        finally:
            self._waiters.release()

    def _wanted(self, wish: Wish, views: Sequence[str]) -> Mapping[str, Mapping[int, int]]:
        """Per source the raw offsets that must be contained; a name that is no source's is refused, for waiting for nothing would lie."""
        unknown = sorted(set(wish.min_position) - set(self._sources))
        if unknown:
            raise RequestError(
                f"min_position names {', '.join(unknown)};"
                f" the sources are {', '.join(sorted(self._sources))}",
                Place(field="min_position"),
            )
        if wish.max_staleness_ms is None:
            return wish.min_position
        if not wish.max_staleness_ms >= 0:  # also for NaN
            raise RequestError(
                f"max_staleness_ms is {wish.max_staleness_ms:g}",
                Place(field="max_staleness_ms", remedy="give 0 or more"),
            )
        sources = sorted({self._source_of[view] for view in views})
        ends = self._raw_ends(sources, wish.max_staleness_ms)
        return {
            source: _highest(ends.get(source, {}), wish.min_position.get(source, {}))
            for source in sources
        }


def _highest(a: Mapping[int, int], b: Mapping[int, int]) -> dict[int, int]:
    return {partition: max(a.get(partition, -1), b.get(partition, -1)) for partition in {*a, *b}}
