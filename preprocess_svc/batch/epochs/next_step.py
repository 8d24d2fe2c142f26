"""What the batch layer does next, told by the topics alone: a pure state machine,
so a restart in any phase goes on where it was.
"""

from __future__ import annotations

from preprocess_svc.batch.epochs.plan import Cuts, Land, Plan, Rest, Seal, Step, Train, Wait
from preprocess_svc.batch.epochs.seen import Seen
from schemas.events import Cut, EpochSealRequested, ViewPublished
from twinstream.protocol.known_time import EARLIEST_US

ASK_AGAIN_US = 5_000_000
MISSING = "barriers are missing"
START = Cut(offset=-1, raw_high=-1)


def next_step(
    plan: Plan,
    seen: Seen,
    now_us: int,
) -> Step:
    """The one thing to do now."""
    newest = seen.newest
    if not newest:
        return _open_epoch(plan, seen, 1, now_us)
    missing = tuple(view for view in plan.views if (view, newest) not in seen.published)
    if missing:
        return _land(plan, seen, newest, missing)
    untrained = _untrained(plan, seen, newest)
    return Train(newest, untrained) if untrained else _open_epoch(plan, seen, newest + 1, now_us)


def _untrained(
    plan: Plan,
    seen: Seen,
    epoch: int,
) -> tuple[str, ...]:
    """Models without a training set of the epoch, under this definition."""
    return tuple(model for model in plan.models if (model, epoch, plan.digest) not in seen.trained)


def _open_epoch(
    plan: Plan,
    seen: Seen,
    epoch: int,
    now_us: int,
) -> Step:
    """Of the epoch that is not landed: wait for its barriers, land it, or ask for its end when
    there is a reason.
    """
    places = _places(plan)
    missing = tuple(place for place in places if (epoch, *place) not in seen.sealed)
    if not missing:
        return _land(plan, seen, epoch, plan.views)
    if (asked := seen.requested.get(epoch)) is not None:
        return _asked_before(asked, missing, now_us)
    if len(missing) < len(places):
        return Seal(epoch, 0, MISSING)
    reason = _reason(plan, seen, now_us)
    return Seal(epoch, seen.wishes, reason, seen.retrains) if reason else Rest()


def _asked_before(
    asked: EpochSealRequested,
    missing: tuple[tuple[str, int], ...],
    now_us: int,
) -> Step:
    """Wait for barriers, or ask for them once more."""
    if _within(ASK_AGAIN_US, asked.requested_at_us, now_us):
        return Wait(asked.epoch, missing)
    return Seal(asked.epoch, asked.wishes, MISSING, asked.retrains)


def _places(plan: Plan) -> list[tuple[str, int]]:
    """All (source, log partition)."""
    return [(source, partition) for source in plan.sources for partition in range(plan.partitions)]


def _within(
    span_us: int,
    at_us: int,
    now_us: int,
) -> bool:
    """Whether a moment is so long ago at most; one that is still to come was told by a wrong
    clock.
    """
    return 0 <= now_us - at_us < span_us


def _reason(
    plan: Plan,
    seen: Seen,
    now_us: int,
) -> str:
    """Why the open epoch should end now; "": it should not."""
    if seen.wishes > seen.answered:
        return "asked for"
    if any(seen.retrain.get(model, 0) > seen.retrains_answered for model in plan.models):
        return "training asked for"
    if plan.seal_every_us and not _within(plan.seal_every_us, seen.last_sealed_us, now_us):
        return "schedule"
    if (
        plan.seal_after_files
        and seen.files_end - _file_count(seen, seen.newest) >= plan.seal_after_files
    ):
        return "files"
    return ""


def _land(
    plan: Plan,
    seen: Seen,
    epoch: int,
    views: tuple[str, ...],
) -> Land:
    """From the end of the epoch before; with what a view of this one is published with already."""
    before = seen.manifest(epoch - 1)
    known = seen.manifest(epoch)
    return Land(
        epoch=epoch,
        views=views,
        after=_ends(plan, before),
        cut=_cut(plan, seen, epoch),
        files_from=_file_count(seen, epoch - 1),
        files_to=known.file_count if known else None,
        as_of_us=before.as_of_us if before else EARLIEST_US,
        landed_as_of_us=known.as_of_us if known else None,
        left_out=tuple(known.left_out) if known else None,
    )


def _ends(plan: Plan, before: ViewPublished | None) -> Cuts:
    """Where the epoch before ended in all logs."""
    ends = before.cuts if before else {}
    return {
        source: {p: ends.get(source, {}).get(p, START) for p in range(plan.partitions)}
        for source in plan.sources
    }


def _cut(
    plan: Plan,
    seen: Seen,
    epoch: int,
) -> Cuts:
    return {
        source: {p: _sealed(seen, epoch, source, p) for p in range(plan.partitions)}
        for source in plan.sources
    }


def _sealed(
    seen: Seen,
    epoch: int,
    source: str,
    partition: int,
) -> Cut:
    """The first barrier; a source that came into the definition after this epoch was sealed has no
    rows in it.
    """
    event = seen.sealed.get((epoch, source, partition))
    return Cut(offset=event.offset, raw_high=event.raw_high) if event else START


def _file_count(seen: Seen, epoch: int) -> int:
    manifest = seen.manifest(epoch)
    return manifest.file_count if manifest else 0
