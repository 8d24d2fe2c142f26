"""When a record became known, and how far time has come, whatever one input claims."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from twinstream.protocol.known_time import (
    DAY_US,
    EARLIEST_US,
    LaneTime,
    agreed,
    as_of,
    known_in_file,
)

NOW = 1_790_000_000_000_000
YEARS = 36 * 365 * DAY_US
late = st.integers(-9 * DAY_US, DAY_US)
steady = st.tuples(st.integers(-DAY_US, DAY_US), st.lists(late, max_size=30)).map(
    lambda t: [t[0], *t[1]]
)
"""Steps from the newest claim before; the second record agrees with the first."""


def lane(claims: list[int]) -> tuple[int, list[int]]:
    time = LaneTime()
    known = [time.take(claim) for claim in claims]
    return time.now_us, known


def walk(steps: list[int], start: int = NOW) -> list[int]:
    """Claims that are never a leap ahead of the newest before them."""
    claims, newest = [start], start
    for step in steps:
        claims.append(newest + step)
        newest = max(newest, claims[-1])
    return claims


@given(steps=steady, start=st.sampled_from([NOW, 0, -1, -7_000 * DAY_US]))
def test_without_leaps_a_lane_is_at_its_newest_claim(steps: list[int], start: int) -> None:
    claims = walk(steps, start)
    now_us, known = lane(claims)
    assert now_us == max(claims)
    assert known == [max(claims[: i + 1]) for i in range(len(claims))]


@given(steps=steady, at=st.integers(0, 29), ahead=st.integers(DAY_US + 1, YEARS))
def test_one_record_ahead_moves_no_other_record(steps: list[int], at: int, ahead: int) -> None:
    claims = walk(steps)
    at = min(at, len(claims) - 1)
    odd = max(claims) + ahead
    now_us, known = lane(claims)
    assert lane([*claims[:at], odd, *claims[at:]]) == (now_us, [*known[:at], odd, *known[at:]])


@given(
    claims=st.lists(st.integers(EARLIEST_US + 1, YEARS), min_size=1, max_size=30)
)  # EARLIEST_US itself means that there is no time yet
def test_a_lane_never_goes_back_and_no_record_is_known_before_its_claim(claims: list[int]) -> None:
    time, before = LaneTime(claims[0]), EARLIEST_US
    for claim in claims:
        assert time.take(claim) >= max(claim, time.now_us)
        assert time.now_us >= before
        before = time.now_us


def test_a_lane_follows_a_pause_once_two_records_say_so() -> None:
    assert lane([NOW, NOW + 9 * DAY_US, NOW + 9 * DAY_US + 5])[0] == NOW + 9 * DAY_US + 5
    assert lane([NOW + k * 30 * DAY_US for k in range(5)])[0] == NOW + 3 * 30 * DAY_US


def test_a_row_of_a_file_was_known_when_the_file_was_accepted() -> None:
    assert known_in_file(NOW + YEARS, NOW) == NOW
    assert known_in_file(NOW - YEARS, NOW) == NOW - YEARS


def test_one_row_in_the_future_is_not_what_a_file_agrees_on() -> None:
    assert agreed([NOW, NOW + YEARS]) == agreed([NOW + YEARS, NOW]) == NOW
    assert agreed([NOW, NOW + 5]) == NOW + 5
    assert agreed([None, NOW]) == agreed([None, None]) == EARLIEST_US


@given(
    before=st.integers(EARLIEST_US, NOW),
    claims=st.lists(st.integers(EARLIEST_US, NOW + YEARS), max_size=5),
)
def test_the_time_of_an_epoch_is_between_the_one_before_and_now(
    before: int, claims: list[int]
) -> None:
    assert before <= as_of(before, claims, NOW) <= NOW
    assert as_of(before, claims, NOW) == min(max(before, *claims, EARLIEST_US), NOW)


def test_a_time_of_an_epoch_that_a_wrong_clock_had_moved_comes_back() -> None:
    assert as_of(NOW + YEARS, [], NOW) == NOW
    assert as_of(NOW + 5, [], NOW) == NOW + 5  # a clock that was set back by a moment
