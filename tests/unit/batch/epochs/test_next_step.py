"""The batch layer's next step, from what the topics say: also after a crash between any two
events.
"""

import msgspec
import pytest

from preprocess_svc.batch.epochs.next_step import ASK_AGAIN_US, next_step
from preprocess_svc.batch.epochs.plan import Land, Plan, Rest, Seal, Train, Wait
from preprocess_svc.batch.epochs.seen import Seen
from schemas.events import (
    Cut,
    EpochSealed,
    EpochSealRequested,
    Event,
    FileAccepted,
    FileRef,
    FileWithdrawn,
    RetrainRequested,
    SealRequested,
    TrainingSetPublished,
    ViewPublished,
)

PLAN = Plan(
    sources=("orders", "visits"),
    views=("by-buyer", "by-shop"),
    models=("returns",),
    digest="d",
    partitions=2,
)
NOW = 1_000_000_000


def seen_after(*events: Event) -> Seen:
    """Events as their topics give them: each with its offset among those of its type."""
    seen, offsets = Seen(NOW), {}
    for event in events:
        offset = offsets.get(type(event), -1) + 1
        offsets[type(event)] = offset
        seen.take(event, offset)
    return seen


def file(source: str = "orders") -> FileAccepted:
    return FileAccepted(
        source=source, file=FileRef(uri="s3://raw/a", sha256=""), format="csv", accepted_at_us=0
    )


def sealed(epoch: int, *, offset: int = 10, raw_high: int = 99) -> list[EpochSealed]:
    places = [
        (source, partition) for source in PLAN.sources for partition in range(PLAN.partitions)
    ]
    return [
        EpochSealed(epoch=epoch, source=s, partition=p, offset=offset + p, raw_high=raw_high)
        for s, p in places
    ]


def published(view: str, epoch: int, *, files: int = 0, high: int = 100) -> ViewPublished:
    cut = {p: Cut(offset=10 + p, raw_high=high) for p in range(2)}
    return ViewPublished(
        view=view,
        source="orders",
        epoch=epoch,
        cut=cut,
        files=[],
        definition_digest="d",
        as_of_us=7,
        complete_since={},
        file_count=files,
        cuts={"orders": cut, "visits": cut},
    )


def trained(epoch: int, digest: str = "d") -> TrainingSetPublished:
    return TrainingSetPublished(
        model="returns",
        epoch=epoch,
        files=[],
        columns=[],
        digest="x",
        rows=1,
        first_at_us=0,
        last_at_us=0,
        statistics_uri="",
        definition_digest=digest,
    )


REQUEST = EpochSealRequested(epoch=1, requested_at_us=NOW, wishes=1)
EPOCH_1 = [
    SealRequested(),
    REQUEST,
    *sealed(1),
    published("by-buyer", 1, files=1),
    published("by-shop", 1, files=1),
    trained(1),
]


def test_rests_when_nobody_asks() -> None:
    assert next_step(PLAN, seen_after(file()), NOW) == Rest()


def test_a_wish_ends_the_epoch() -> None:
    assert next_step(PLAN, seen_after(SealRequested(), SealRequested()), NOW) == Seal(
        1, 2, "asked for"
    )


def test_a_wish_is_answered_once() -> None:
    assert next_step(PLAN, seen_after(*EPOCH_1), NOW) == Rest()


def test_a_wish_that_came_while_an_epoch_landed_gets_one_of_its_own() -> None:
    assert next_step(PLAN, seen_after(*EPOCH_1, SealRequested()), NOW) == Seal(2, 2, "asked for")


def test_the_schedule_ends_the_epoch_when_its_time_has_passed() -> None:
    plan = Plan(
        sources=PLAN.sources,
        views=PLAN.views,
        models=PLAN.models,
        digest="d",
        partitions=2,
        seal_every_us=60,
    )
    assert next_step(plan, seen_after(), NOW + 59) == Rest()
    assert next_step(plan, seen_after(), NOW + 60) == Seal(1, 0, "schedule")
    assert next_step(plan, seen_after(*EPOCH_1), NOW + 59) == Rest()
    assert next_step(plan, seen_after(*EPOCH_1), NOW + 60) == Seal(2, 1, "schedule")


def test_enough_new_files_end_the_epoch() -> None:
    plan = Plan(
        sources=PLAN.sources,
        views=PLAN.views,
        models=PLAN.models,
        digest="d",
        partitions=2,
        seal_after_files=2,
    )
    assert next_step(plan, seen_after(*EPOCH_1, file(), file()), NOW) == Rest()
    assert next_step(plan, seen_after(*EPOCH_1, file(), file(), file()), NOW) == Seal(2, 1, "files")


def test_waits_for_every_barrier() -> None:
    step = next_step(PLAN, seen_after(SealRequested(), REQUEST, *sealed(1)[:3]), NOW)
    assert step == Wait(1, (("visits", 1),))


def test_asks_again_when_barriers_stay_away() -> None:
    seen = seen_after(SealRequested(), REQUEST, *sealed(1)[:3])
    assert next_step(PLAN, seen, NOW + ASK_AGAIN_US) == Seal(1, 1, "barriers are missing")


def test_lands_all_views_once_every_barrier_stands() -> None:
    step = next_step(PLAN, seen_after(file(), SealRequested(), REQUEST, *sealed(1)), NOW)
    assert isinstance(step, Land)
    assert (step.epoch, step.views, step.files_from, step.files_to) == (
        1,
        ("by-buyer", "by-shop"),
        0,
        None,
    )
    assert step.after["orders"] == {0: Cut(offset=-1, raw_high=-1), 1: Cut(offset=-1, raw_high=-1)}
    assert step.cut["visits"] == {0: Cut(offset=10, raw_high=99), 1: Cut(offset=11, raw_high=99)}


def test_the_first_barrier_of_an_epoch_counts() -> None:
    step = next_step(
        PLAN, seen_after(SealRequested(), REQUEST, *sealed(1), *sealed(1, offset=500)), NOW
    )
    assert isinstance(step, Land)
    assert step.cut["orders"][0].offset == 10


def test_an_epoch_starts_at_the_published_cut_and_takes_the_files_behind_it() -> None:
    step = next_step(PLAN, seen_after(*EPOCH_1, *sealed(2, offset=40)), NOW)
    assert isinstance(step, Land)
    assert step.after["visits"] == {
        0: Cut(offset=10, raw_high=100),
        1: Cut(offset=11, raw_high=100),
    }
    assert (step.epoch, step.files_from, step.as_of_us, step.landed_as_of_us) == (2, 1, 7, None)


def test_a_crash_between_two_views_lands_the_missing_one_with_the_same_files() -> None:
    step = next_step(PLAN, seen_after(file(), file(), *EPOCH_1[:-2]), NOW)
    assert isinstance(step, Land)
    assert (step.epoch, step.views, step.files_from, step.files_to) == (1, ("by-shop",), 0, 1)
    assert (
        step.landed_as_of_us == 7
    )  # a later clock would prune, and settle labels, otherwise than the views before


def test_a_crash_before_the_training_set_builds_it() -> None:
    assert next_step(PLAN, seen_after(*EPOCH_1[:-1]), NOW) == Train(1, ("returns",))


def test_a_crash_at_any_event_goes_on_to_the_same_end() -> None:
    for stop in range(len(EPOCH_1) + 1):
        seen, rest = seen_after(*EPOCH_1[:stop]), EPOCH_1[stop:]
        for event in rest:
            step = next_step(PLAN, seen, NOW)
            expected = {
                EpochSealRequested: Seal,
                EpochSealed: Wait,
                ViewPublished: Land,
                TrainingSetPublished: Train,
                SealRequested: Rest,
            }
            assert isinstance(step, expected[type(event)]), (stop, event)
            seen.take(event, 0)
        assert next_step(PLAN, seen, NOW) == Rest()


def test_a_changed_definition_builds_the_training_set_again() -> None:
    changed = Plan(
        sources=PLAN.sources, views=PLAN.views, models=PLAN.models, digest="other", partitions=2
    )
    assert next_step(changed, seen_after(*EPOCH_1), NOW) == Train(1, ("returns",))


def test_a_view_that_is_new_in_the_definition_is_folded_at_the_newest_cut() -> None:
    grown = Plan(
        sources=PLAN.sources,
        views=(*PLAN.views, "by-city"),
        models=PLAN.models,
        digest="d",
        partitions=2,
    )
    step = next_step(grown, seen_after(*EPOCH_1), NOW)
    assert isinstance(step, Land)
    assert (step.epoch, step.views, step.files_to) == (1, ("by-city",), 1)


def test_a_training_set_without_rows_is_not_tried_again() -> None:
    seen = seen_after(*EPOCH_1[:-1])
    seen.decline("returns", 1, "d")
    assert next_step(PLAN, seen, NOW) == Rest()


def test_a_wish_for_retraining_makes_the_last_training_set_count_no_more() -> None:
    seen = seen_after(*EPOCH_1)
    assert seen.training_set_before("returns", "d") == trained(1)
    assert seen.training_set_before("returns", "other") is None
    seen.take(RetrainRequested(model="another", reason="drift"), 0)
    assert seen.training_set_before("returns", "d") == trained(1)
    seen.take(RetrainRequested(model="returns", reason="drift"), 1)
    assert seen.training_set_before("returns", "d") is None


def test_a_training_set_of_an_epoch_to_come_is_not_the_last_one() -> None:
    seen = seen_after(*EPOCH_1, trained(1_000_000))
    assert seen.training_set_before("returns", "d") == trained(1)


def test_a_wish_for_retraining_ends_the_open_epoch_once() -> None:
    seen = seen_after(*EPOCH_1)
    seen.take(RetrainRequested(model="another", reason="drift"), 0)
    assert next_step(PLAN, seen, NOW + 1) == Rest()
    seen.take(RetrainRequested(model="returns", reason="drift"), 1)
    assert next_step(PLAN, seen, NOW + 2) == Seal(2, 1, "training asked for", 2)
    seen.take(EpochSealRequested(epoch=2, requested_at_us=NOW + 2, wishes=1, retrains=2), 1)
    for event in sealed(2, offset=40):
        seen.take(event, 0)
    assert isinstance(next_step(PLAN, seen, NOW + 3), Land)
    for view in PLAN.views:
        seen.take(published(view, 2, files=1), 0)
    seen.take(trained(2), 0)
    assert next_step(PLAN, seen, NOW + 4) == Rest()


@pytest.mark.parametrize("at_us", [0, NOW, NOW + 10**15])
def test_no_date_of_a_wish_for_retraining_moves_a_seal(at_us: int) -> None:
    seen = seen_after(*EPOCH_1)
    seen.take(RetrainRequested(model="returns", reason="drift", requested_at_us=at_us), 0)
    assert next_step(PLAN, seen, NOW + 1) == Seal(2, 1, "training asked for", 1)


def test_a_seal_dated_ahead_is_asked_for_again_and_stops_no_schedule() -> None:
    scheduled = msgspec.structs.replace(PLAN, seal_every_us=100)
    ahead = EpochSealRequested(epoch=1, requested_at_us=NOW + 10**12, wishes=1)
    asked = seen_after(file(), SealRequested(), ahead)
    assert next_step(PLAN, asked, NOW) == Seal(1, 1, "barriers are missing")
    landed = seen_after(*[ahead if event is REQUEST else event for event in EPOCH_1])
    assert next_step(scheduled, landed, NOW + 200) == Seal(2, 1, "schedule")


def test_the_last_training_set_counts_also_when_the_request_of_its_epoch_has_expired() -> None:
    assert seen_after(*[event for event in EPOCH_1 if event is not REQUEST]).training_set_before(
        "returns", "d"
    ) == trained(1)


def test_a_message_that_nobody_can_believe_leaves_a_hole_in_the_numbers_of_files() -> None:
    seen = seen_after(file())
    seen.take(file(), 2)
    assert (sorted(seen.files), seen.files_end) == ([0, 2], 3)


def test_a_withdrawn_file_is_known_by_its_source_object_and_version() -> None:
    seen = seen_after(file())
    accepted = seen.files[0]
    other = "v-other"
    for withdrawn, expected in (
        (FileWithdrawn(source="nobody", uri=accepted.file.uri), False),
        (FileWithdrawn(source=accepted.source, uri="s3://raw-b/else"), False),
        (FileWithdrawn(source=accepted.source, uri=accepted.file.uri, version_id=other), False),
        (FileWithdrawn(source=accepted.source, uri=accepted.file.uri), True),
    ):
        seen.take(withdrawn, 0)
        assert seen.is_withdrawn(0) is expected


def test_a_manifest_says_which_files_its_epoch_lacks_and_the_next_view_lacks_the_same() -> None:
    seen = seen_after(
        file(),
        SealRequested(),
        REQUEST,
        *sealed(1),
        msgspec.structs.replace(published("by-buyer", 1, files=1), left_out=[0]),
    )
    step = next_step(PLAN, seen, NOW)
    assert isinstance(step, Land)
    assert (step.views, step.left_out) == (("by-shop",), (0,))


def test_requests_that_no_batch_layer_made_do_not_stop_epochs() -> None:
    """A request for an epoch far away, and one that says it answers wishes that nobody had."""
    lie = EpochSealRequested(epoch=1_000_000, requested_at_us=NOW + 10**12, wishes=1 << 60)
    seen = seen_after(*EPOCH_1, lie, SealRequested(), SealRequested())
    assert isinstance(next_step(PLAN, seen, NOW), Seal)
    assert seen.last_sealed_us < NOW + 10**12
