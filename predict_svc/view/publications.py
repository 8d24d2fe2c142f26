"""A thread that follows which batch views are published, and fetches their files for the partitions
that this worker holds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from predict_svc.view import bases
from predict_svc.view.errors import BaseRefusedError
from predict_svc.view.layout import Base
from predict_svc.view.ports import BaseFiles, BaseLoading
from schemas.events import ViewPublished
from twinstream.errors import MeshError

_log = structlog.get_logger()
MOST_OTHERS = 8
Place = tuple[str, int]  # view, partition
Landed = Callable[[Place, Base], None]
Refused = Callable[[Place, int, str], None]


class Publications:
    """Knows the newest publication of each view; brings its base to each held place,
    again and again until it is right.
    """

    def __init__(
        self, objects: BaseFiles, landed: Landed, refused: Refused, retry_s: float
    ) -> None:
        self._objects = objects
        self._landed = landed
        self._refused = refused
        self._retry_s = retry_s
        self._newest: dict[str, ViewPublished] = {}
        self._others: dict[str, list[ViewPublished]] = {}
        self._held: dict[Place, tuple[BaseLoading, int]] = {}
        self._tried: set[tuple[Place, int]] = set()
        self._changed = threading.Condition()

    def start(self) -> None:
        """Begin to fetch, in a thread."""
        threading.Thread(target=self.run, name="bases", daemon=True).start()

    def published(self, event: ViewPublished) -> None:
        """Note a publication; only the newest epoch of a view matters.

        Of several of that epoch the first counts; when its files are not what it says,
        the next is tried, in turn.
        """
        with self._changed:
            before = self._newest.get(event.view)
            if before is None or event.epoch > before.epoch:
                self._newest[event.view] = event
                self._others[event.view] = []
            elif event.epoch == before.epoch and len(self._others[event.view]) < MOST_OTHERS:
                self._others[event.view].append(event)
            self._changed.notify_all()

    def hold(self, held: Mapping[Place, tuple[BaseLoading, int]]) -> None:
        """Say which places this worker holds: where their bases are brought, and the epoch of the
        one that they have.
        """
        with self._changed:
            self._held = dict(held)
            self._changed.notify_all()

    def newest(self, view: str) -> int:
        """The newest published epoch of a view; 0 when there is none."""
        return getattr(self._newest.get(view), "epoch", 0)

    def wait_landed_or_tried(self, places: set[Place], timeout_s: float) -> bool:
        """Wait until each place has its newest base or one attempt was made for it."""
        with self._changed:
            return self._changed.wait_for(
                lambda: all(self._settled(place) for place in places), timeout_s
            )

    def run(self) -> None:
        """Fetch whenever a held place lacks the newest base of its view."""
        while True:
            with self._changed:
                missing = self._missing()
                if not missing:
                    self._changed.wait()
                    continue
            failed = [work for work in missing if not self._fetch(*work)]
            with self._changed:
                if failed:
                    self._changed.wait(self._retry_s)

    def _fetch(self, place: Place, loading: BaseLoading, event: ViewPublished) -> bool:
        """One attempt; a refused base is told, and tried again."""
        try:
            base: Any = bases.fetch(self._objects, event, place[1], loading)
        except (BaseRefusedError, MeshError, OSError) as error:
            _log.error(
                "base_refused",
                view=place[0],
                partition=place[1],
                epoch=event.epoch,
                reason=str(error),
            )
            self._refused(place, event.epoch, str(error))
            base = None
        else:
            self._landed(place, base)
        with self._changed:
            if base is None:
                self._try_another(event)
            self._tried.add((place, event.epoch))
            if base is not None and place in self._held:
                self._held[place] = (loading, max(base.epoch, self._held[place][1]))
            self._changed.notify_all()
        return base is not None

    def _try_another(self, refused: ViewPublished) -> None:
        """Put a refused publication behind the others of its epoch."""
        others = self._others.get(refused.view)
        if others and self._newest[refused.view] is refused:
            self._newest[refused.view] = others.pop(0)
            others.append(refused)

    def _missing(self) -> list[tuple[Place, BaseLoading, ViewPublished]]:
        return [
            (place, loading, self._newest[place[0]])
            for place, (loading, epoch) in self._held.items()
            if place[0] in self._newest and self._newest[place[0]].epoch > epoch
        ]

    def _settled(self, place: Place) -> bool:
        event = self._newest.get(place[0])
        return (
            event is None
            or self._held.get(place, (None, 0))[1] >= event.epoch
            or (place, event.epoch) in self._tried
        )
