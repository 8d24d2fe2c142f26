"""What was decided about an epoch is decided once, whoever finds it, and in whatever order."""

from __future__ import annotations

import threading

import msgspec
import pytest

from preprocess_svc.batch.epochs.decisions import (
    BlockedError,
    Decisions,
    EpochDecision,
    EpochRows,
    as_decided,
    life_of,
    manifests_of,
    rows_of,
)
from preprocess_svc.batch.epochs.plan import Land
from schemas.events import Cut, EpochSealed, TrainingSetPublished, ViewPublished
from tests.objects import Objects

SEAL = EpochSealed(
    epoch=7, source="orders", partition=0, offset=41, raw_high=99, sealed_at_us=1_000
)
CUTS = {"orders": {0: Cut(offset=41, raw_high=99)}}


def manifest(view: str, as_of_us: int = 5) -> ViewPublished:
    return ViewPublished(
        view=view,
        source="orders",
        epoch=7,
        cut=CUTS["orders"],
        files=[],
        definition_digest="d",
        as_of_us=as_of_us,
        complete_since={3: 0},
        file_count=12,
        cuts=CUTS,
        left_out=[9],
    )


def decision(by: str, *views: str, path: str = "", as_of_us: int = 5) -> EpochDecision:
    return EpochDecision(
        by=by,
        rows={"orders": EpochRows(3, path)} if path else {},
        manifests=[manifest(view, as_of_us) for view in views],
    )


def decisions(objects: Objects, owner: str = "first") -> Decisions:
    return Decisions(objects, "warehouse", "shop", owner)


def land(offset: int = 41) -> Land:
    cut = {"orders": {0: Cut(offset=offset, raw_high=99)}}
    return Land(7, ("by-buyer",), {}, cut, files_from=10, files_to=None, as_of_us=1)


def test_whoever_comes_second_finds_what_the_first_decided() -> None:
    objects = Objects()
    one, two = decision("one", "by-buyer", path="p/1"), decision("two", "by-buyer", path="p/2")
    assert decisions(objects).settle(7, SEAL, [], one) == [one]
    assert decisions(objects, "second").settle(7, SEAL, [], two) == [one]
    assert decisions(objects, "third").of(7, SEAL) == [one]


def test_of_many_at_once_all_find_the_same() -> None:
    """The linearization point is the store's conditional put, and nothing before it."""
    objects, together, found = Objects(), threading.Barrier(16), list[EpochDecision]()

    def attempt(number: int) -> None:
        mine = decision(str(number), "by-buyer", path=f"p/{number}")
        together.wait()
        found.extend(decisions(objects, str(number)).settle(7, SEAL, [], mine))

    racers = [threading.Thread(target=attempt, args=(number,)) for number in range(16)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert len(found) == 16
    assert len({one.by for one in found}) == 1


def test_a_view_that_joined_later_is_decided_behind_the_first_decision() -> None:
    objects = Objects()
    first = decision("one", "by-buyer", path="p/1")
    before = decisions(objects).settle(7, SEAL, [], first)
    second = decision("two", "by-country")
    assert decisions(objects).settle(7, SEAL, before, second) == [first, second]
    assert [m.view for m in manifests_of([first, second], ("by-country", "by-buyer"))] == [
        "by-country",
        "by-buyer",
    ]
    assert manifests_of([first], ("by-country",)) == []


def test_rows_and_manifests_are_those_of_the_first_that_decided_them() -> None:
    both = [decision("one", "by-buyer", path="p/1"), decision("two", "by-buyer", path="p/2")]
    assert rows_of(both) == {"orders": EpochRows(3, "p/1")}
    assert manifests_of(both, ("by-buyer",)) == [both[0].manifests[0]]


def test_an_epoch_of_a_mesh_that_was_made_anew_beside_an_old_bucket_is_another_one() -> None:
    objects = Objects()
    decisions(objects).settle(7, SEAL, [], decision("one", "by-buyer"))
    later = msgspec.structs.replace(SEAL, sealed_at_us=2_000)
    assert life_of(later) != life_of(SEAL)
    assert decisions(objects).of(7, later) == []
    assert decisions(objects).of(8, msgspec.structs.replace(SEAL, epoch=8)) == []


def test_a_step_takes_files_time_and_gaps_of_what_was_decided() -> None:
    step = as_decided(land(), [decision("one", "by-buyer", as_of_us=77)])
    assert (step.files_to, step.landed_as_of_us, step.left_out) == (12, 77, (9,))
    assert as_decided(land(), []) == land()


def test_a_decision_with_another_end_blocks_and_says_so() -> None:
    with pytest.raises(BlockedError, match="made anew in part"):
        as_decided(land(offset=50), [decision("one", "by-buyer")])


def test_a_decision_that_cannot_be_read_blocks_and_names_the_object() -> None:
    objects = Objects()
    decisions(objects).settle(7, SEAL, [], decision("one", "by-buyer"))
    (key,) = objects.kept
    objects.kept[key] = b"cut o"
    with pytest.raises(BlockedError, match=key):
        decisions(objects).of(7, SEAL)


def test_a_training_set_is_decided_once_for_each_definition() -> None:
    objects = Objects()
    mine = TrainingSetPublished(
        model="returns",
        epoch=7,
        files=[],
        columns=[],
        digest="x",
        rows=1,
        first_at_us=0,
        last_at_us=0,
        statistics_uri="s3://warehouse/mine",
        definition_digest="d",
    )
    theirs = msgspec.structs.replace(mine, statistics_uri="s3://warehouse/theirs")
    assert decisions(objects).settle_training(SEAL, mine) == mine
    assert decisions(objects).settle_training(SEAL, theirs) == mine
    newer = msgspec.structs.replace(theirs, definition_digest="e")
    assert decisions(objects).settle_training(SEAL, newer) == newer
