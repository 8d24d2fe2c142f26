"""Reads an epoch's rows, of files and of logs between two cuts, into new paths of the history: all
sources at once, and patiently where a file kills who reads it.
"""

from __future__ import annotations

import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import msgspec
import structlog

from preprocess_svc.batch.epochs.plan import Land
from preprocess_svc.batch.epochs.ports import Reports
from preprocess_svc.batch.epochs.seen import Seen
from preprocess_svc.batch.history import read_files, read_log
from preprocess_svc.batch.history.file_rows import NumberedFile
from preprocess_svc.batch.history.reading_marks import ReadingMarks
from preprocess_svc.batch.history.table import History, Landed
from preprocess_svc.batch.spark.away import is_away
from preprocess_svc.batch.spark.context import Context
from schemas.events import Cut, FileAccepted
from schemas.topics import verdict_prefix
from twinstream.define import Source
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.quarantine import ATTEMPTS

_log = structlog.get_logger()
SOURCES_AT_ONCE = 4

Numbered = dict[str, list[NumberedFile]]
"""Files of an epoch by the name of their source."""


class Appended(msgspec.Struct, frozen=True):
    """One source's part of an epoch, at a path of the history that nothing points to yet."""

    landed: Landed
    cut: dict[int, Cut]
    lanes_us: int


class Appending:
    """Reads the epoch of a `Land` step."""

    def __init__(
        self,
        context: Context,
        history: History,
        store: ObjectStore,
        reports: Reports,
    ) -> None:
        self._context = context
        self._mesh = context.mesh
        self._pipeline = context.pipeline
        self._history = history
        self._store = store
        self._reports = reports

    def read_all(
        self,
        step: Land,
        seen: Seen,
        files_to: int,
        sources: list[Source],
    ) -> tuple[dict[str, Appended], list[int]]:
        """The rows of these sources, and the numbers of all files that the epoch lacks."""
        if not sources:
            return {}, sorted(step.left_out or ())
        names = [source.name for source in sources]
        withdrawn = _withdrawn(step, seen, files_to)
        numbered = numbered_files(step, seen, files_to, withdrawn, names)
        appended, verdicts = self._attempted(step, sources, numbered)
        lacking = withdrawn.union(read_files.left_out(self._store, verdicts))
        return appended, sorted(lacking)

    def _attempted(
        self,
        step: Land,
        sources: list[Source],
        numbered: Numbered,
    ) -> tuple[dict[str, Appended], str]:
        """An attempt whose process died marks the files of the next."""
        attempts = self._marks(step.epoch, "attempts")
        marked = bool(attempts.deaths())
        with attempts.reading(0):
            return self._patiently(step, sources, numbered, marked=marked)

    def forgive(self, epoch: int) -> None:
        """This process is told to stop: no file of this epoch is to blame for that."""
        for name in ("reading", "attempts"):
            self._marks(epoch, name).forgive()

    def sweep(self, epoch: int) -> None:
        """Delete what all attempts at a published epoch said of its files, and what those that do
        not count wrote to the history.
        """
        folder = verdict_prefix(self._pipeline.name, epoch) + "/"
        for key in self._store.list(self._mesh.bucket, folder):
            self._store.delete(self._mesh.bucket, key)
        for source in self._pipeline.sources:
            self._history.sweep(source, epoch)

    def _patiently(
        self,
        step: Land,
        sources: list[Source],
        numbered: Numbered,
        *,
        marked: bool,
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
                appended = self._append_all(step, sources, numbered, care)
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

    def _append_all(
        self,
        step: Land,
        sources: list[Source],
        numbered: Numbered,
        care: read_files.Care,
    ) -> dict[str, Appended]:
        """All sources at the same time (their jobs are small, and most of a small job is waiting),
        unless files are read one at a time.
        """
        at_once = 1 if care.marks else SOURCES_AT_ONCE
        with ThreadPoolExecutor(at_once, thread_name_prefix="append") as pool:
            appended = pool.map(lambda s: self._append(step, numbered[s.name], s, care), sources)
            return dict(zip((s.name for s in sources), appended, strict=True))

    def _append(
        self,
        step: Land,
        numbered: list[NumberedFile],
        source: Source,
        care: read_files.Care,
    ) -> Appended:
        after, until = step.after[source.name], step.cut[source.name]
        files = read_files.read(self._context, source, numbered, care)
        log, ends = read_log.read(self._context, source, after, until)
        landed = self._history.append(source, step.epoch, files, log)
        cut, lanes_us = ends()
        facts = {"epoch": step.epoch, "rows": landed.rows, "files": len(numbered)}
        _log.info("history_appended", source=source.name, **facts)
        return Appended(landed=landed, cut=cut, lanes_us=lanes_us)

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


def _withdrawn(
    step: Land,
    seen: Seen,
    files_to: int,
) -> set[int]:
    """Numbers of the epoch's files that it leaves out from the start."""
    if step.left_out is not None:
        return set(step.left_out)
    return {n for n in range(step.files_from, files_to) if n in seen.files and seen.is_withdrawn(n)}


def numbered_files(
    step: Land,
    seen: Seen,
    files_to: int,
    without: set[int],
    sources: list[str],
) -> Numbered:
    """The files of the epoch, of these sources."""
    numbered: Numbered = {name: [] for name in sources}
    for n in range(step.files_from, files_to):
        file = seen.files.get(n)
        if file is not None and n not in without and file.source in numbered:
            numbered[file.source].append(NumberedFile(n, file, _latest_us(step, file)))
    return numbered


def _latest_us(step: Land, accepted: FileAccepted) -> int:
    """A file of this epoch was accepted after the epoch before had landed, whatever the clock that
    accepted it says.
    """
    return max(accepted.accepted_at_us, step.as_of_us)
