"""A view takes the newest base that is what its manifest says; a manifest that lies keeps nobody
from the right one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from predict_svc.view import bases
from predict_svc.view.errors import BaseRefusedError
from predict_svc.view.publications import MOST_OTHERS, Publications
from schemas.events import ViewPublished

PLACE = ("sums", 0)


def manifest(epoch: int, as_of_us: int) -> ViewPublished:
    return ViewPublished(
        view="sums",
        source="orders",
        epoch=epoch,
        cut={},
        files=[],
        definition_digest="",
        as_of_us=as_of_us,
        complete_since={},
    )


class Worker:
    """What a worker is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, right: set[int]) -> None:
        self.landed: list[int] = []
        self.refused: list[int] = []
        self.publications = Publications(
            None,
            self._land,
            lambda _place, epoch, _reason: self.refused.append(epoch),
            0.0,  # type: ignore[arg-type]
        )

        def fetch(_objects: Any, event: ViewPublished, _partition: int, _folder: Path) -> Any:
            if event.as_of_us not in right:
                raise BaseRefusedError("its checksum differs")
            return event

        monkeypatch.setattr(bases, "fetch", fetch)
        self.publications.hold({PLACE: (Path(), 0)})

    def _land(self, _place: Any, base: Any) -> None:
        self.landed.append(base.as_of_us)

    def look(self, times: int) -> None:
        """As the thread does."""
        for _ in range(times):
            for work in self.publications._missing():
                self.publications._fetch(*work)


@pytest.mark.parametrize("order", [(1, 2), (2, 1), (2, 3, 1)])
def test_the_right_manifest_lands_wherever_it_is_among_lies(
    monkeypatch: pytest.MonkeyPatch, order: tuple[int, ...]
) -> None:
    worker = Worker(monkeypatch, right={1})
    for as_of in order:
        worker.publications.published(manifest(5, as_of))
        worker.look(1)
    worker.look(len(order))
    assert worker.landed == [1]


def test_a_lie_is_told_until_the_right_manifest_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(monkeypatch, right={1})
    worker.publications.published(manifest(5, 2))
    worker.look(3)
    assert (worker.landed, worker.refused) == ([], [5, 5, 5])
    worker.publications.published(manifest(6, 1))
    worker.look(1)
    assert worker.landed == [1]


def test_a_flood_of_manifests_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(monkeypatch, right=set())
    for as_of in range(10_000):
        worker.publications.published(manifest(5, as_of))
    assert len(worker.publications._others["sums"]) == MOST_OTHERS
