"""What one epoch folds: each view on its base before where that can be built on, else whole from
the history, and again whole where a base turned out to be lost.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from preprocess_svc.batch.epochs.plan import Land
from preprocess_svc.batch.epochs.ports import Reports
from preprocess_svc.batch.epochs.seen import Seen
from preprocess_svc.batch.folding.fold import Fold
from preprocess_svc.batch.folding.fold_views import fold
from preprocess_svc.batch.folding.pruning import complete_since, reaches
from preprocess_svc.batch.folding.writing import Folded
from preprocess_svc.batch.history.table import History, Landed
from preprocess_svc.batch.spark.context import Context
from schemas.events import FileRef, ViewPublished
from schemas.topics import base_prefix
from twinstream.algebra.plan import ViewPlan
from twinstream.define import Source, View


class Folds:
    """Folds the views of a `Land` step."""

    def __init__(
        self,
        context: Context,
        history: History,
        reports: Reports,
    ) -> None:
        self._context = context
        self._mesh = context.mesh
        self._pipeline = context.pipeline
        self._history = history
        self._reports = reports

    def fold(
        self,
        step: Land,
        seen: Seen,
        landed: Mapping[str, Landed],
        as_of: int,
    ) -> list[tuple[View, list[FileRef]]]:
        """A view whose base before is gone or damaged on S3 is folded whole from the history:
        nothing is lost with a base.
        """
        views = [self._pipeline.view(name) for name in step.views]
        folds = [self._one(step, seen, view, as_of) for view in views]
        found = self._folded(step, folds, landed)
        files = {**found.files, **self._folded_whole(step, folds, landed, found.lost)}
        return [(view, files[view.name]) for view in views]

    def _folded_whole(
        self,
        step: Land,
        folds: list[Fold],
        landed: Mapping[str, Landed],
        lost: Mapping[str, str],
    ) -> Mapping[str, list[FileRef]]:
        """The views whose base is lost, which is told; `lost` says why."""
        for name, why in lost.items():
            self._reports.base_lost(name, why)
        again = [_whole(one) for one in folds if one.view.name in lost]
        return self._folded(step, again, landed).files if again else {}

    def _folded(
        self,
        step: Land,
        folds: list[Fold],
        landed: Mapping[str, Landed],
    ) -> Folded:
        rows = {
            source.name: self._new_rows(step, folds, source, landed[source.name])
            for source in self._pipeline.sources
        }
        return fold(self._context, folds, rows)

    def _one(
        self,
        step: Land,
        seen: Seen,
        view: View,
        as_of: int,
    ) -> Fold:
        since = complete_since(ViewPlan(view), as_of)
        files = self._usable(seen.published.get((view.name, step.epoch - 1)), since)
        prefix = base_prefix(self._pipeline.name, view.name, step.epoch)
        return Fold(
            view=view,
            since=since,
            prefix=f"s3://{self._mesh.bucket}/{prefix}",
            before={file.partition: file for file in files or ()},
            whole=files is None,
        )

    def _usable(self, before: ViewPublished | None, since: dict[int, int]) -> list[FileRef] | None:
        """The base before, if it was folded under this very definition and lacks nothing."""
        if before is None or before.definition_digest != self._pipeline.digest:
            return None
        return before.files if reaches(before.complete_since, since) else None

    def _new_rows(
        self,
        step: Land,
        folds: list[Fold],
        source: Source,
        landed: Landed,
    ) -> list[tuple[list[str], list[int]]]:
        """Files of the history, each with the numbers of the folds that take them."""
        fresh = self._history.files_at(source, landed.path)
        new, whole = (numbers_of(folds, source, whole=whole) for whole in (False, True))
        parts = [(fresh, new)] if fresh and new else []
        if whole:
            before = self._history.files(source, step.epoch - 1)
            parts.append(([*before, *fresh], whole))
        return parts


def numbers_of(
    folds: list[Fold],
    source: Source,
    *,
    whole: bool,
) -> list[int]:
    """Which of the folds are of views of this source, and whole or not."""
    return [
        number
        for number, one in enumerate(folds)
        if one.view.source.name == source.name and one.whole == whole
    ]


def _whole(one: Fold) -> Fold:
    """The same view, on nothing before."""
    return msgspec.structs.replace(one, before={}, whole=True)
