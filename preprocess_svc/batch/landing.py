"""Lands an epoch: reads files and logs between two cuts, appends to the history, folds the batch views, and says what is to be published."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import structlog

from preprocess_svc.batch import read_files, read_log
from preprocess_svc.batch.context import Context
from preprocess_svc.batch.epochs import Land, Seen
from preprocess_svc.batch.fold_views import Fold, Folded, fold
from preprocess_svc.batch.history import History, Landed
from preprocess_svc.batch.pruning import complete_since, reaches
from schemas.events import Cut, FileAccepted, FileRef, ViewPublished
from schemas.topics import base_prefix, verdict_prefix
from twinstream.algebra.plan import ViewPlan
from twinstream.define import Source, View
from twinstream.errors import MeshError
from twinstream.mesh.clock import Clock
from twinstream.mesh.object_store import ObjectStore
from twinstream.protocol.known_time import as_of as time_of

_log = structlog.get_logger()
SOURCES_AT_ONCE = 4


class BlockedError(MeshError, RuntimeError):
    """A step cannot go on without breaking a law; the message says what blocks it and what to do."""


def _withdrawn(step: Land, seen: Seen, files_to: int) -> set[int]:
    """Numbers of the epoch's files that it leaves out from the start."""
    if step.left_out is not None:
        return set(step.left_out)
    return {n for n in range(step.files_from, files_to) if n in seen.files and seen.is_withdrawn(n)}


class Appended(msgspec.Struct, frozen=True):
    """One source's part of an epoch, in the history."""

    landed: Landed
    cut: dict[int, Cut]
    lanes_us: int


class Landing:
    """Does a `Land` step. `observe(phase, seconds)` is told how long each phase took, `base_lost(view, why)` which base on S3 is none."""

    def __init__(
        self,
        context: Context,
        history: History,
        clock: Clock,
        observe: Callable[[str, float], None],
        base_lost: Callable[[str, str], None],
    ) -> None:
        self._context, self._mesh, self._pipeline = context, context.mesh, context.pipeline
        self._history, self._clock, self._observe = history, clock, observe
        self._store, self._base_lost = ObjectStore(context.mesh), base_lost

    def land(self, step: Land, seen: Seen) -> list[ViewPublished]:
        """The manifests of the step's views; nothing is published yet, and doing it again gives the same states."""
        files_to = seen.files_end if step.files_to is None else step.files_to
        verdicts = self._verdicts(step.epoch)
        withdrawn = _withdrawn(step, seen, files_to)
        started = time.monotonic()
        appended = self._append_all(step, seen, files_to, withdrawn, verdicts)
        self._observe("history", time.monotonic() - started)
        left_out = sorted({*withdrawn, *read_files.left_out(self._store, verdicts)})
        if step.left_out is not None and left_out != sorted(step.left_out):
            raise BlockedError(
                f"epoch {step.epoch} has views without the files {list(step.left_out)}, and now {left_out} cannot be read: restore their objects on S3"
            )
        as_of = self._as_of(step, appended)
        started = time.monotonic()
        manifests = self._fold(step, seen, {name: a.landed for name, a in appended.items()}, as_of)
        self._observe("fold", time.monotonic() - started)
        cuts = {name: a.cut for name, a in appended.items()}
        common = {
            "cuts": cuts,
            "as_of_us": as_of,
            "file_count": files_to,
            "epoch": step.epoch,
            "left_out": left_out,
        }
        return [self._manifest(view, files, common) for view, files in manifests]

    def _verdicts(self, epoch: int) -> str:
        """S3 URI below which this attempt's workers name the files that they leave out."""
        return f"s3://{self._mesh.bucket}/{verdict_prefix(self._pipeline.name, epoch)}/{uuid.uuid4().hex}"

    def sweep(self, step: Land) -> None:
        """Delete what crashed attempts at a published epoch wrote to the history, and what all of them said of files."""
        for key in self._store.list(
            self._mesh.bucket, verdict_prefix(self._pipeline.name, step.epoch) + "/"
        ):
            self._store.delete(self._mesh.bucket, key)
        for source in self._pipeline.sources:
            self._history.sweep(source, step.epoch)

    def _as_of(self, step: Land, appended: dict[str, Appended]) -> int:
        """The epoch's time; that of its views which are published already, if there are any."""
        if step.landed_as_of_us is not None:
            return step.landed_as_of_us
        claims = [us for part in appended.values() for us in (part.landed.files_us, part.lanes_us)]
        return time_of(step.as_of_us, claims, self._clock.now_us())

    def _append_all(
        self, step: Land, seen: Seen, files_to: int, without: set[int], verdicts: str
    ) -> dict[str, Appended]:
        """All sources at the same time: their jobs are small, and most of a small job is waiting."""
        with ThreadPoolExecutor(SOURCES_AT_ONCE, thread_name_prefix="append") as pool:
            sources = self._pipeline.sources
            numbered: dict[str, list[read_files.NumberedFile]] = {s.name: [] for s in sources}
            for n in range(step.files_from, files_to):
                if n in seen.files and n not in without and seen.files[n].source in numbered:
                    numbered[seen.files[n].source].append(
                        read_files.NumberedFile(
                            n, seen.files[n], self._latest_us(step, seen.files[n])
                        )
                    )
            return dict(
                zip(
                    (s.name for s in sources),
                    pool.map(lambda s: self._append(step, numbered[s.name], s, verdicts), sources),
                    strict=True,
                )
            )

    def _append(
        self, step: Land, numbered: list[read_files.NumberedFile], source: Source, verdicts: str
    ) -> Appended:
        files = read_files.read(self._context, source, numbered, verdicts)
        log, ends = read_log.read(
            self._context, source, step.after[source.name], step.cut[source.name]
        )
        landed = self._history.append(source, step.epoch, files, log)
        cut, lanes_us = ends()
        _log.info(
            "history_appended",
            source=source.name,
            epoch=step.epoch,
            rows=landed.rows,
            files=len(numbered),
        )
        return Appended(landed=landed, cut=cut, lanes_us=lanes_us)

    @staticmethod
    def _latest_us(step: Land, accepted: FileAccepted) -> int:
        """A file of this epoch was accepted after the epoch before had landed, whatever the clock that accepted it says."""
        return max(accepted.accepted_at_us, step.as_of_us)

    def _fold(
        self, step: Land, seen: Seen, landed: dict[str, Landed], as_of: int
    ) -> list[tuple[View, list[FileRef]]]:
        """A view whose base before is gone or damaged on S3 is folded whole from the history: nothing is lost with a base."""
        views = [self._pipeline.view(name) for name in step.views]
        folds = [self._one_fold(step, seen, view, as_of) for view in views]
        first = self._folded(step, folds, landed)
        for name, why in first.lost.items():
            self._base_lost(name, why)
        again = [
            msgspec.structs.replace(one, before={}, whole=True)
            for one in folds
            if one.view.name in first.lost
        ]
        files = first.files | (self._folded(step, again, landed).files if again else {})
        return [(view, files[view.name]) for view in views]

    def _folded(self, step: Land, folds: list[Fold], landed: dict[str, Landed]) -> Folded:
        rows = {
            source.name: self._new_rows(step, folds, source, landed[source.name])
            for source in self._pipeline.sources
        }
        return fold(self._context, folds, rows)

    def _one_fold(self, step: Land, seen: Seen, view: View, as_of: int) -> Fold:
        """On the base before, if it was folded under this very definition and lacks nothing; else from the whole history."""
        before, since = (
            seen.published.get((view.name, step.epoch - 1)),
            complete_since(ViewPlan(view), as_of),
        )
        usable = (
            before is not None
            and before.definition_digest == self._pipeline.digest
            and reaches(before.complete_since, since)
        )
        return Fold(
            view=view,
            since=since,
            prefix=f"s3://{self._mesh.bucket}/{base_prefix(self._pipeline.name, view.name, step.epoch)}",
            before={file.partition: file for file in before.files}
            if before is not None and usable
            else {},
            whole=not usable,
        )

    def _new_rows(
        self, step: Land, folds: list[Fold], source: Source, landed: Landed
    ) -> list[tuple[list[str], list[int]]]:
        mine = [n for n, f in enumerate(folds) if f.view.source.name == source.name]
        whole, new = [n for n in mine if folds[n].whole], [n for n in mine if not folds[n].whole]
        parts = [(self._history.files(source, step.epoch), whole)] if whole else []
        return parts + (
            [(self._history.files(source, step.epoch, since=step.epoch), new)]
            if new and landed.rows
            else []
        )

    def _manifest(self, view: View, files: list[FileRef], common: dict[str, Any]) -> ViewPublished:
        return ViewPublished(
            view=view.name,
            source=view.source.name,
            cut=common["cuts"][view.source.name],
            files=files,
            **common,
            definition_digest=self._pipeline.digest,
            complete_since=complete_since(ViewPlan(view), common["as_of_us"]),
            published_at_us=self._clock.now_us(),
        )
