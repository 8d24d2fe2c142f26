"""Lands an epoch: reads files and logs between two cuts, appends to the history,
folds the batch views, and says what is to be published.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import msgspec
import structlog

from preprocess_svc.batch.epochs.next_step import Land, Seen
from preprocess_svc.batch.folding.fold_views import Fold, Folded, fold
from preprocess_svc.batch.folding.pruning import complete_since, reaches
from preprocess_svc.batch.history import read_files, read_log
from preprocess_svc.batch.history.reading_marks import ReadingMarks
from preprocess_svc.batch.history.table import History, Landed
from preprocess_svc.batch.spark.away import is_away
from preprocess_svc.batch.spark.context import Context
from schemas.events import Cut, FileAccepted, FileRef, ViewPublished
from schemas.topics import base_prefix, verdict_prefix
from twinstream.algebra.plan import ViewPlan
from twinstream.define import Source, View
from twinstream.errors import MeshError
from twinstream.mesh.clock import Clock
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.quarantine import ATTEMPTS
from twinstream.protocol.known_time import as_of as time_of

_log = structlog.get_logger()
SOURCES_AT_ONCE = 4


Numbered = dict[str, list[read_files.NumberedFile]]
"""Files of an epoch by the name of their source."""


class Reports(Protocol):
    """Who is told what happens within a step."""

    def observe(self, phase: str, seconds: float) -> None:
        """How long a phase took."""

    def base_lost(self, view: str, reason: str) -> None:
        """A base on S3 is gone or damaged, and its view is folded whole."""

    def alert(self, reason: str) -> None:
        """Something was given up."""


class BlockedError(MeshError, RuntimeError):
    """A step cannot go on without breaking a law; the message says what blocks it and what to
    do.
    """


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
    """Does a `Land` step."""

    def __init__(
        self,
        context: Context,
        history: History,
        clock: Clock,
        reports: Reports,
    ) -> None:
        self._context, self._mesh, self._pipeline = context, context.mesh, context.pipeline
        self._history, self._clock, self._reports = history, clock, reports
        self._store = ObjectStore(context.mesh)

    def land(self, step: Land, seen: Seen) -> list[ViewPublished]:
        """The manifests of the step's views; nothing is published yet, and doing it again gives the
        same states.
        """
        files_to = seen.files_end if step.files_to is None else step.files_to
        withdrawn = _withdrawn(step, seen, files_to)
        started = time.monotonic()
        appended, left_out = self._read_all(step, seen, files_to, withdrawn)
        self._reports.observe("history", time.monotonic() - started)
        if step.left_out is not None and left_out != sorted(step.left_out):
            raise BlockedError(
                f"epoch {step.epoch} has views without the files {list(step.left_out)}, "
                f"and now {left_out} cannot be read: restore their objects on S3"
            )
        as_of = self._as_of(step, appended)
        started = time.monotonic()
        manifests = self._fold(step, seen, {name: a.landed for name, a in appended.items()}, as_of)
        self._reports.observe("fold", time.monotonic() - started)
        cuts = {name: a.cut for name, a in appended.items()}
        common = {
            "cuts": cuts,
            "as_of_us": as_of,
            "file_count": files_to,
            "epoch": step.epoch,
            "left_out": left_out,
        }
        return [self._manifest(view, files, common) for view, files in manifests]

    def _care(self, epoch: int, *, marked: bool) -> read_files.Care:
        """This attempt's way to read files."""
        return read_files.Care(
            verdicts=self._below(epoch, uuid.uuid4().hex),
            memory_bytes=self._context.knobs.file_memory_bytes,
            expanded_bytes=self._context.knobs.file_expanded_bytes,
            marks=self._below(epoch, "reading") if marked else "",
        )

    def _below(self, epoch: int, name: str) -> str:
        """S3 URI of what is said of this epoch's files."""
        return f"s3://{self._mesh.bucket}/{verdict_prefix(self._pipeline.name, epoch)}/{name}"

    def _marks(self, epoch: int, name: str) -> ReadingMarks:
        return ReadingMarks(self._store, self._below(epoch, name))

    def forgive(self, epoch: int) -> None:
        """This process is told to stop: no file of this epoch is to blame for that."""
        for name in ("reading", "attempts"):
            self._marks(epoch, name).forgive()

    def _read_all(
        self, step: Land, seen: Seen, files_to: int, withdrawn: set[int]
    ) -> tuple[dict[str, Appended], list[int]]:
        """All sources' rows in the history, and the files that are left out.

        An attempt whose process died marks the files of the next.
        """
        numbered = self._numbered(step, seen, files_to, withdrawn)
        attempts = self._marks(step.epoch, "attempts")
        marked = bool(attempts.deaths())
        with attempts.reading(0):
            appended, verdicts = self._append_patiently(step, numbered, marked=marked)
        return appended, sorted({*withdrawn, *read_files.left_out(self._store, verdicts)})

    def _append_patiently(
        self, step: Land, numbered: Numbered, *, marked: bool
    ) -> tuple[dict[str, Appended], str]:
        """The rows, and where their attempt names the files that it lacks.

        After a failure files are read one at a time, each marked;
        as long as readers die, until the deadly files are left out.
        """
        marks = self._marks(step.epoch, "reading")
        while True:
            care = self._care(step.epoch, marked=marked)
            deaths = marks.deaths() if marked else Counter[int]()
            try:
                appended = self._append_all(step, numbered, care)
            except Exception as error:
                if is_away(error) or (marked and marks.deaths() <= deaths):
                    raise
                _log.warning("files_are_read_one_at_a_time", epoch=step.epoch, exc_info=error)
                marked = True
            else:
                self._tell_deadly(step.epoch, marks.deaths() if marked else deaths)
                return appended, care.verdicts

    def _tell_deadly(self, epoch: int, deaths: Counter[int]) -> None:
        for number, times in deaths.items():
            if times >= ATTEMPTS:
                self._reports.alert(
                    f"file {number} is left out of epoch {epoch}: {read_files.DEADLY}"
                )

    def sweep(self, step: Land) -> None:
        """Delete what crashed attempts at a published epoch wrote to the history, and what all of
        them said of files.
        """
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

    def _numbered(self, step: Land, seen: Seen, files_to: int, without: set[int]) -> Numbered:
        """The files of the epoch, by source."""
        numbered: Numbered = {source.name: [] for source in self._pipeline.sources}
        for n in range(step.files_from, files_to):
            if n in seen.files and n not in without and seen.files[n].source in numbered:
                file = seen.files[n]
                numbered[file.source].append(
                    read_files.NumberedFile(n, file, self._latest_us(step, file))
                )
        return numbered

    def _append_all(
        self, step: Land, numbered: Numbered, care: read_files.Care
    ) -> dict[str, Appended]:
        """All sources at the same time (their jobs are small, and most of a small job is waiting),
        unless files are read one at a time.
        """
        sources = self._pipeline.sources
        with ThreadPoolExecutor(
            1 if care.marks else SOURCES_AT_ONCE, thread_name_prefix="append"
        ) as pool:
            appended = pool.map(lambda s: self._append(step, numbered[s.name], s, care), sources)
            return dict(zip((s.name for s in sources), appended, strict=True))

    def _append(
        self,
        step: Land,
        numbered: list[read_files.NumberedFile],
        source: Source,
        care: read_files.Care,
    ) -> Appended:
        files = read_files.read(self._context, source, numbered, care)
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
        """A file of this epoch was accepted after the epoch before had landed, whatever the clock
        that accepted it says.
        """
        return max(accepted.accepted_at_us, step.as_of_us)

    def _fold(
        self, step: Land, seen: Seen, landed: dict[str, Landed], as_of: int
    ) -> list[tuple[View, list[FileRef]]]:
        """A view whose base before is gone or damaged on S3 is folded whole from the history:
        nothing is lost with a base.
        """
        views = [self._pipeline.view(name) for name in step.views]
        folds = [self._one_fold(step, seen, view, as_of) for view in views]
        first = self._folded(step, folds, landed)
        for name, why in first.lost.items():
            self._reports.base_lost(name, why)
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
        """On the base before, if it was folded under this very definition and lacks nothing;
        else from the whole history.
        """
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
