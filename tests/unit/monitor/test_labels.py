"""A prediction meets its label, however late, missing or corrected it is."""

import pytest

from monitor_svc.label_rows import Asked, LabelRow
from monitor_svc.labels import Joiner
from tests.unit.monitor.world import pipeline
from twinstream.define.label import Settles

HORIZON = 100


def joiner_of(
    missing: float | None, settles: Settles = "at once", max_kept: int = 1_000_000
) -> Joiner:
    label = pipeline(missing, settles).models[0].label
    label.horizon_us = HORIZON
    return Joiner(label, max_kept)


def asked(at_us: int = 0, score: float = 0.4) -> Asked:
    return Asked(model="m", release="r", model_digest="d", at_us=at_us, score=score)


def row(event_us: int, outcome: float, known_us: int | None = None, key: str = "a") -> LabelRow:
    return LabelRow(
        key=key,
        event_us=event_us,
        known_us=event_us if known_us is None else known_us,
        outcome=outcome,
    )


def test_label_counts_when_the_horizon_has_passed_and_not_before() -> None:
    joiner = joiner_of(1.0, "horizon")
    joiner.ask("a", asked(), 0)
    assert joiner.label(row(50, 0.0)) == []
    assert (joiner.advance(100), joiner.pending) == ([], 1)
    [outcome] = joiner.advance(101)
    assert (outcome.label, outcome.before, outcome.how) == (0.0, None, "arrived")
    assert joiner.pending == 0


def test_label_is_revised_when_it_becomes_known_after_the_horizon() -> None:
    joiner = joiner_of(1.0, "horizon")
    joiner.ask("a", asked(), 0)
    joiner.advance(101)
    [outcome] = joiner.label(row(90, 0.0, known_us=150))
    assert (outcome.label, outcome.before, outcome.how) == (0.0, 1.0, "revised")


def test_question_is_not_judged_when_its_outcome_may_lie_unread() -> None:
    """Neither with a record here nor without one: to count only the former would be one-sided."""
    joiner = joiner_of(1.0, "horizon")
    joiner.unread_until_us = 10
    for at in (5, 11):
        joiner.ask(f"with-{at}", asked(at), 0)
        joiner.ask(f"without-{at}", asked(at), 0)
        joiner.label(row(50, 0.0, key=f"with-{at}"))
    assert sorted(outcome.label or 0.0 for outcome in joiner.advance(200)) == [0.0, 1.0]
    assert (joiner.unjudged, joiner.pending) == (2, 0)
    assert joiner.label(row(60, 1.0, known_us=201, key="with-5")) == []


def test_unread_files_hide_nothing_when_a_missing_label_means_nothing() -> None:
    joiner = joiner_of(None, "horizon")
    joiner.unread_until_us = 10
    joiner.ask("a", asked(), 0)
    joiner.label(row(50, 0.0))
    assert [outcome.label for outcome in joiner.advance(101)] == [0.0]


def test_label_joins_when_it_comes_within_the_horizon() -> None:
    joiner = joiner_of(1.0)
    assert joiner.ask("a", asked(), 0) == []
    [outcome] = joiner.label(row(50, 0.0))
    assert (outcome.label, outcome.before, outcome.how, joiner.pending) == (0.0, None, "arrived", 0)


def test_label_joins_when_it_was_read_before_its_prediction() -> None:
    joiner = joiner_of(1.0)
    joiner.label(row(50, 1.0))
    [outcome] = joiner.ask("a", asked(), 0)
    assert (outcome.label, outcome.how) == (1.0, "arrived")


@pytest.mark.parametrize("event_us", [-1, 101])
def test_record_is_no_label_when_it_happened_outside_the_horizon(event_us: int) -> None:
    joiner = joiner_of(1.0)
    joiner.ask("a", asked(), 0)
    assert joiner.label(row(event_us, 0.0)) == []


def test_label_counts_as_missing_when_the_horizon_has_passed() -> None:
    joiner = joiner_of(1.0)
    joiner.ask("a", asked(), 0)
    assert joiner.advance(100) == []
    [outcome] = joiner.advance(101)
    assert (outcome.label, outcome.how) == (1.0, "missing")
    assert joiner.advance(150) == []


def test_row_is_left_out_when_a_missing_label_means_nothing() -> None:
    joiner = joiner_of(None)
    joiner.ask("a", asked(), 0)
    assert joiner.advance(101) == []
    assert joiner.pending == 0


def test_missing_is_revised_when_the_label_becomes_known_late() -> None:
    joiner = joiner_of(1.0)
    joiner.ask("a", asked(), 0)
    joiner.advance(101)
    [outcome] = joiner.label(row(90, 0.0, known_us=150))
    assert (outcome.label, outcome.before, outcome.how) == (0.0, 1.0, "revised")


def test_latest_record_by_event_time_counts_when_there_are_several() -> None:
    joiner = joiner_of(1.0)
    joiner.ask("a", asked(), 0)
    joiner.label(row(60, 0.0))
    assert joiner.label(row(50, 1.0)) == []
    [outcome] = joiner.label(row(60, 1.0))
    assert outcome.how == "revised"


def test_null_outcome_counts_as_missing() -> None:
    joiner = joiner_of(1.0)
    joiner.ask("a", asked(), 0)
    [outcome] = joiner.label(row(50, float("nan")))
    assert outcome.label == 1.0


def test_every_question_about_a_key_gets_the_label_when_it_was_asked_twice() -> None:
    joiner = joiner_of(1.0)
    joiner.ask("a", asked(0), 0)
    joiner.ask("a", asked(10), 0)
    assert len(joiner.label(row(50, 0.0))) == 2


def test_horizon_runs_from_the_answer_when_the_question_was_about_the_past() -> None:
    joiner = joiner_of(1.0)
    joiner.ask("a", asked(0), due_from_us=1000)
    assert joiner.advance(500) == []
    assert len(joiner.advance(1101)) == 1


def test_nothing_is_kept_when_two_horizons_have_passed() -> None:
    joiner = joiner_of(1.0)
    for at in range(50):
        joiner.ask(f"k{at}", asked(at), 0)
        joiner.label(row(at + 1, 0.0, key=f"k{at}"))
    joiner.advance(50 + 2 * HORIZON + 2)
    joiner.advance(50 + 2 * HORIZON + 2)
    assert joiner.kept() == (0, 0)


def test_oldest_are_given_up_and_counted_when_memory_is_full() -> None:
    joiner = joiner_of(1.0, max_kept=10)
    for at in range(25):
        joiner.ask(f"k{at}", asked(at), 0)
        joiner.label(row(at + 1, 0.0, key=f"x{at}"))
    assert joiner.kept() == (10, 10)
    assert joiner.given_up == 30
    assert joiner.pending == 10
