"""Lands an epoch: adopts what was decided about it, or reads, folds, decides, and says what is to
be published.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import msgspec
import structlog

from preprocess_svc.batch.epochs.appending import Appended, Appending
from preprocess_svc.batch.epochs.decisions import (
    BlockedError,
    Decisions,
    EpochDecision,
    EpochRows,
    as_decided,
    manifests_of,
    rows_of,
)
from preprocess_svc.batch.epochs.folds import Folds
from preprocess_svc.batch.epochs.plan import Land
from preprocess_svc.batch.epochs.ports import Reports
from preprocess_svc.batch.epochs.seen import Seen
from preprocess_svc.batch.folding.pruning import complete_since
from preprocess_svc.batch.history.table import History, Landed
from preprocess_svc.batch.spark.context import Context
from schemas.events import Cut, EpochSealed, FileRef, ViewPublished
from twinstream.algebra.plan import ViewPlan
from twinstream.define import View
from twinstream.mesh.clock import Clock
from twinstream.mesh.object_store import ObjectStore
from twinstream.protocol.known_time import EARLIEST_US
from twinstream.protocol.known_time import as_of as time_of

Result = TypeVar("Result")
_log = structlog.get_logger()


class EpochInput(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of an epoch: of some sources read now, of the others decided earlier."""

    appended: dict[str, Appended]
    settled: dict[str, EpochRows]
    cuts: dict[str, dict[int, Cut]]
    files_to: int
    left_out: list[int]

    @property
    def landed(self) -> dict[str, Landed]:
        """The rows of all sources."""
        earlier = {
            name: Landed(rows.count, EARLIEST_US, rows.path) for name, rows in self.settled.items()
        }
        return earlier | {name: part.landed for name, part in self.appended.items()}

    @property
    def rows(self) -> dict[str, EpochRows]:
        """Those that are to be decided."""
        return {
            name: EpochRows(part.landed.rows, part.landed.path)
            for name, part in self.appended.items()
        }


class Common(msgspec.Struct, frozen=True, kw_only=True):
    """What the manifests of one epoch have in common."""

    epoch: int
    cuts: dict[str, dict[int, Cut]]
    as_of_us: int
    file_count: int
    left_out: list[int]


class Landing:
    """Does a `Land` step."""

    def __init__(
        self,
        context: Context,
        history: History,
        clock: Clock,
        reports: Reports,
        decisions: Decisions,
    ) -> None:
        self._context = context
        self._pipeline = context.pipeline
        self._history = history
        self._clock = clock
        self._reports = reports
        self._decisions = decisions
        store = ObjectStore(context.mesh)
        self._appending = Appending(context, history, store, reports)
        self._folds = Folds(context, history, reports)

    def land(self, step: Land, seen: Seen) -> list[ViewPublished]:
        """The manifests of some of the step's views, as decided for ever; nothing is published
        yet. Those of an earlier attempt, of whatever process, if there are any.
        """
        seal = seen.first_seal(step.epoch)
        decided = self._decisions.of(step.epoch, seal)
        found = manifests_of(decided, step.views)
        if not found:
            decided = self._decided_now(step, seen, seal, decided)
            found = manifests_of(decided, step.views)
        self._point(step.epoch, decided)
        return found

    def forgive(self, epoch: int) -> None:
        """This process is told to stop: no file of this epoch is to blame for that."""
        self._appending.forgive(epoch)

    def sweep(self, step: Land) -> None:
        """Delete what attempts at a published epoch left behind that do not count."""
        self._appending.sweep(step.epoch)

    def _decided_now(
        self,
        step: Land,
        seen: Seen,
        seal: EpochSealed | None,
        before: list[EpochDecision],
    ) -> list[EpochDecision]:
        """All decisions of the epoch after an attempt of ours, which may have come too late."""
        mine = self._attempt(as_decided(step, before), seen, before)
        decided = self._decisions.settle(step.epoch, seal, before, mine)
        if mine.by not in {decision.by for decision in decided}:
            _log.warning("epoch_was_decided_elsewhere", epoch=step.epoch, by=decided[-1].by)
        return decided

    def _attempt(
        self,
        step: Land,
        seen: Seen,
        before: list[EpochDecision],
    ) -> EpochDecision:
        """Everything but the decision: rows and bases where nobody looks yet."""
        taken = self._timed("history", lambda: self._taken(step, seen, before))
        common = self._common(step, taken)

        def fold() -> list[tuple[View, list[FileRef]]]:
            return self._folds.fold(step, seen, taken.landed, common.as_of_us)

        folded = self._timed("fold", fold)
        return EpochDecision(
            by=self._decisions.attempt(),
            rows=taken.rows,
            manifests=[self._manifest(view, files, common) for view, files in folded],
        )

    def _taken(
        self,
        step: Land,
        seen: Seen,
        before: list[EpochDecision],
    ) -> EpochInput:
        """The rows of sources that are not decided yet are read; of the others nothing is."""
        files_to = seen.files_end if step.files_to is None else step.files_to
        settled = rows_of(before)
        sources = [s for s in self._pipeline.sources if s.name not in settled]
        appended, left_out = self._appending.read_all(step, seen, files_to, sources)
        _refuse_other_gaps(step, left_out)
        return EpochInput(
            appended=appended,
            settled=settled,
            cuts=_cuts_of(before),
            files_to=files_to,
            left_out=left_out,
        )

    def _common(self, step: Land, taken: EpochInput) -> Common:
        cuts = {name: part.cut for name, part in taken.appended.items()}
        return Common(
            epoch=step.epoch,
            cuts=taken.cuts | cuts,
            as_of_us=self._as_of(step, taken.appended),
            file_count=taken.files_to,
            left_out=taken.left_out,
        )

    def _timed(self, phase: str, work: Callable[[], Result]) -> Result:
        started = time.monotonic()
        result = work()
        self._reports.observe(phase, time.monotonic() - started)
        return result

    def _point(self, epoch: int, decided: list[EpochDecision]) -> None:
        """Make the rows that were decided the epoch's partition of each table."""
        names = {source.name for source in self._pipeline.sources}
        for name, rows in rows_of(decided).items():
            if name in names:
                self._history.point(self._pipeline.source(name), epoch, rows.path)

    def _as_of(self, step: Land, appended: dict[str, Appended]) -> int:
        """The epoch's time; that of its views which are decided already, if there are any."""
        if step.landed_as_of_us is not None:
            return step.landed_as_of_us
        claims = [us for part in appended.values() for us in (part.landed.files_us, part.lanes_us)]
        return time_of(step.as_of_us, claims, self._clock.now_us())

    def _manifest(
        self,
        view: View,
        files: list[FileRef],
        common: Common,
    ) -> ViewPublished:
        return ViewPublished(
            view=view.name,
            source=view.source.name,
            epoch=common.epoch,
            cut=common.cuts[view.source.name],
            files=files,
            definition_digest=self._pipeline.digest,
            as_of_us=common.as_of_us,
            complete_since=complete_since(ViewPlan(view), common.as_of_us),
            file_count=common.file_count,
            published_at_us=self._clock.now_us(),
            cuts=common.cuts,
            left_out=common.left_out,
        )


def _cuts_of(decided: list[EpochDecision]) -> dict[str, dict[int, Cut]]:
    """Those of the first decision, if there is one."""
    return dict(decided[0].manifests[0].cuts) if decided else {}


def _refuse_other_gaps(step: Land, left_out: list[int]) -> None:
    """The views of one epoch lack the same files."""
    if step.left_out is not None and left_out != sorted(step.left_out):
        raise BlockedError(
            f"epoch {step.epoch} has views without the files {list(step.left_out)}, "
            f"and now {left_out} cannot be read: restore their objects on S3"
        )
