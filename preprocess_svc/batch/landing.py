"""Lands an epoch: reads files and logs between two cuts, appends to the history, folds the batch views, and says what is to be published."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import structlog

from preprocess_svc.batch import read_files, read_log
from preprocess_svc.batch.context import Context
from preprocess_svc.batch.epochs import Land, Seen
from preprocess_svc.batch.fold_views import Fold, fold
from preprocess_svc.batch.history import History, Landed
from preprocess_svc.batch.pruning import complete_since, reaches
from schemas.events import Cut, FileAccepted, FileRef, ViewPublished
from schemas.topics import base_prefix
from twinstream.algebra.plan import ViewPlan
from twinstream.define import Source, View
from twinstream.mesh.clock import Clock
from twinstream.protocol.known_time import as_of as time_of

_log = structlog.get_logger()
SOURCES_AT_ONCE = 4


class Appended(msgspec.Struct, frozen=True):
    """One source's part of an epoch, in the history."""

    landed: Landed
    cut: dict[int, Cut]
    lanes_us: int


class Landing:
    """Does a `Land` step. `observe(phase, seconds)` is told how long each phase took."""

    def __init__(self, context: Context, history: History, clock: Clock, observe: Callable[[str, float], None]) -> None:
        self._context, self._mesh, self._pipeline = context, context.mesh, context.pipeline
        self._history, self._clock, self._observe = history, clock, observe

    def land(self, step: Land, seen: Seen) -> list[ViewPublished]:
        """The manifests of the step's views; nothing is published yet, and doing it again gives the same states."""
        files_to = len(seen.files) if step.files_to is None else step.files_to
        started = time.monotonic()
        appended = self._append_all(step, seen, files_to)
        self._observe("history", time.monotonic() - started)
        as_of = self._as_of(step, appended)
        started = time.monotonic()
        manifests = self._fold(step, seen, {name: a.landed for name, a in appended.items()}, as_of)
        self._observe("fold", time.monotonic() - started)
        cuts = {name: a.cut for name, a in appended.items()}
        common = {"cuts": cuts, "as_of_us": as_of, "file_count": files_to, "epoch": step.epoch}
        return [self._manifest(view, files, common) for view, files in manifests]

    def sweep(self, step: Land) -> None:
        """Delete what crashed attempts at a published epoch wrote to the history."""
        for source in self._pipeline.sources:
            self._history.sweep(source, step.epoch)

    def _as_of(self, step: Land, appended: dict[str, Appended]) -> int:
        """The epoch's time; that of its views which are published already, if there are any."""
        if step.landed_as_of_us is not None:
            return step.landed_as_of_us
        claims = [us for part in appended.values() for us in (part.landed.files_us, part.lanes_us)]
        return time_of(step.as_of_us, claims, self._clock.now_us())

    def _append_all(self, step: Land, seen: Seen, files_to: int) -> dict[str, Appended]:
        """All sources at the same time: their jobs are small, and most of a small job is waiting."""
        with ThreadPoolExecutor(SOURCES_AT_ONCE, thread_name_prefix="append") as pool:
            sources = self._pipeline.sources
            return dict(zip((s.name for s in sources), pool.map(lambda s: self._append(step, seen, files_to, s), sources), strict=True))

    def _append(self, step: Land, seen: Seen, files_to: int, source: Source) -> Appended:
        numbered = [
            read_files.NumberedFile(n, seen.files[n], self._latest_us(step, seen.files[n]))
            for n in range(step.files_from, files_to)
            if seen.files[n].source == source.name
        ]
        files = read_files.read(self._context, source, numbered)
        log, ends = read_log.read(self._context, source, step.after[source.name], step.cut[source.name])
        landed = self._history.append(source, step.epoch, files, log)
        cut, lanes_us = ends()
        _log.info("history_appended", source=source.name, epoch=step.epoch, rows=landed.rows, files=len(numbered))
        return Appended(landed=landed, cut=cut, lanes_us=lanes_us)

    @staticmethod
    def _latest_us(step: Land, accepted: FileAccepted) -> int:
        """A file of this epoch was accepted after the epoch before had landed, whatever the clock that accepted it says."""
        return max(accepted.accepted_at_us, step.as_of_us)

    def _fold(self, step: Land, seen: Seen, landed: dict[str, Landed], as_of: int) -> list[tuple[View, list[FileRef]]]:
        views = [self._pipeline.view(name) for name in step.views]
        folds = [self._one_fold(step, seen, view, as_of) for view in views]
        rows = {source.name: self._new_rows(step, folds, source, landed[source.name]) for source in self._pipeline.sources}
        files = fold(self._context, folds, rows)
        return [(view, files[view.name]) for view in views]

    def _one_fold(self, step: Land, seen: Seen, view: View, as_of: int) -> Fold:
        """On the base before, if it was folded under this very definition and lacks nothing; else from the whole history."""
        before, since = seen.published.get((view.name, step.epoch - 1)), complete_since(ViewPlan(view), as_of)
        usable = before is not None and before.definition_digest == self._pipeline.digest and reaches(before.complete_since, since)
        return Fold(
            view=view, since=since, prefix=f"s3://{self._mesh.bucket}/{base_prefix(self._pipeline.name, view.name, step.epoch)}",
            before={file.partition: file for file in before.files} if before is not None and usable else {}, whole=not usable,
        )  # fmt: skip

    def _new_rows(self, step: Land, folds: list[Fold], source: Source, landed: Landed) -> list[tuple[list[str], list[int]]]:
        mine = [n for n, f in enumerate(folds) if f.view.source.name == source.name]
        whole, new = [n for n in mine if folds[n].whole], [n for n in mine if not folds[n].whole]
        parts = [(self._history.files(source, step.epoch), whole)] if whole else []
        return parts + ([(self._history.files(source, step.epoch, since=step.epoch), new)] if new and landed.rows else [])

    def _manifest(self, view: View, files: list[FileRef], common: dict[str, Any]) -> ViewPublished:
        return ViewPublished(
            view=view.name, source=view.source.name, cut=common["cuts"][view.source.name], files=files, **common,
            definition_digest=self._pipeline.digest, complete_since=complete_since(ViewPlan(view), common["as_of_us"]),
            published_at_us=self._clock.now_us(),
        )  # fmt: skip
