"""Training sets: labels known by the cut, rows in the order of time, statistics and digests that
depend on nothing else.
"""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from preprocess_svc.batch.training_sets.assembly import Assemble, digest_of, floats
from preprocess_svc.batch.training_sets.features import ViewFeatures, as_bytes, numbers
from preprocess_svc.batch.training_sets.outcomes import Outcomes
from preprocess_svc.batch.training_sets.parts import RowParts, TimeParts, file_bounds
from preprocess_svc.batch.training_sets.statistics import BOUND, Moments, Tally, merge_tallies
from twinstream import Bool, Int, Label, Model, Source, String, Timestamp, View, count, last_k
from twinstream.define.label import Settles
from twinstream.mesh.settings import MeshSettings
from twinstream.protocol.training_split import Split, split_by_time
from twinstream.protocol.training_statistics import LabelSummary, Summary

HOUR = 3_600_000_000
ASKED = Source(
    "asked",
    id="id",
    key="who",
    event_time="at",
    fields={
        "id": String(),
        "who": String(optional=True),
        "at": Timestamp(),
        "n": Int(optional=True),
    },
)
DONE = Source(
    "done",
    id="id",
    key="who",
    event_time="at",
    fields={"id": String(), "who": String(), "at": Timestamp(), "good": Bool(optional=True)},
)
VIEW = View(
    "by-who",
    DONE,
    by="who",
    features={"times": count().over("1h"), "good": last_k("good", 2).over("24h")},
)


def model(missing: bool | None = False, settles: Settles = "horizon") -> Model:
    label = Label(
        "good", DONE, on="id", horizon="1h", value="good", missing=missing, settles=settles
    )
    return Model(
        "m",
        spine=ASKED,
        at="at",
        views=[VIEW],
        label=label,
        request=("who", "n"),
        derive={"hour": lambda r: r.at.hour},
    )


def asked(*rows: tuple[str, float]) -> pa.Table:
    made = [
        {"_position": i, "id": name, "who": "x", "at": int(hours * HOUR), "n": i}
        for i, (name, hours) in enumerate(rows)
    ]
    return pa.Table.from_pylist(
        made,
        schema=pa.schema(
            [("_position", pa.int64()), *[(f.name, f.type) for f in ASKED.arrow_fields]]
        ),
    )


def done(*rows: tuple[str, float, bool | None]) -> pa.Table:
    made = [
        {"_position": i, "id": name, "who": "x", "at": int(hours * HOUR), "good": good}
        for i, (name, hours, good) in enumerate(rows)
    ]
    return pa.Table.from_pylist(
        made,
        schema=pa.schema(
            [("_position", pa.int64()), *[(f.name, f.type) for f in DONE.arrow_fields]]
        ),
    )


def labels(
    questions: pa.Table,
    outcomes: pa.Table,
    as_of_hours: float,
    missing: bool | None = False,
    settles: Settles = "horizon",
) -> dict[str, float]:
    found = Outcomes(model(missing, settles), int(as_of_hours * HOUR))(questions, outcomes)
    return dict(zip(found["_id"].to_pylist(), found["_label"].to_pylist(), strict=True))


def test_an_outcome_counts_within_its_horizon_bounds_included() -> None:
    questions = asked(("early", 5), ("at", 5), ("end", 5), ("late", 5))
    outcomes = done(
        ("early", 4.999, True), ("at", 5, True), ("end", 6, True), ("late", 6.001, True)
    )
    assert labels(questions, outcomes, 99) == {"early": 0.0, "at": 1.0, "end": 1.0, "late": 0.0}


def test_the_latest_outcome_counts_and_of_equal_times_the_last_that_came() -> None:
    outcomes = done(
        ("a", 5.2, True), ("a", 5.1, False), ("b", 5.5, False), ("b", 5.5, True), ("a", 7, False)
    )
    assert labels(asked(("a", 5), ("b", 5)), outcomes, 99) == {"a": 1.0, "b": 1.0}


def test_a_question_waits_until_its_horizon_has_passed_whatever_is_known() -> None:
    questions = asked(("open", 5), ("passed", 4.9), ("known", 5.5))
    outcomes = done(("known", 5.6, True))
    assert labels(questions, outcomes, 5.95) == {"passed": 0.0}
    assert labels(questions, outcomes, 6.55) == {"passed": 0.0, "open": 0.0, "known": 1.0}


def test_a_known_outcome_settles_a_question_where_the_definition_says_so() -> None:
    questions = asked(("open", 5), ("passed", 4.9), ("known", 5.5))
    found = labels(questions, done(("known", 5.6, True)), 5.95, settles="at once")
    assert found == {"passed": 0.0, "known": 1.0}


def test_a_null_outcome_is_a_missing_one() -> None:
    assert labels(asked(("a", 5)), done(("a", 5.5, None)), 99) == {"a": 0.0}


def test_rows_without_a_label_stay_out_when_a_missing_one_means_nothing() -> None:
    assert labels(asked(("a", 5), ("b", 5)), done(("a", 5.5, None)), 99, missing=None) == {}


def test_no_outcomes_at_all() -> None:
    assert labels(asked(("a", 5)), done(), 99) == {"a": 0.0}


def built(questions: pa.Table, events: pa.Table) -> pa.Table:
    rows = Outcomes(model(), 99 * HOUR)(questions, events)
    events = events.append_column("_known_us", events["at"])
    return Assemble(MeshSettings(pipeline=""), model(), Split(HOUR * 5, HOUR * 9), "").table(
        rows, ViewFeatures(VIEW, 0, TimeParts([]))(rows, events)
    )


def test_features_hold_what_was_known_at_the_moment() -> None:
    events = done(("a", 3.5, None), ("b", 4.5, True), ("c", 5.5, False), ("d", 6, True))
    rows = built(asked(("q", 6), ("p", 5), ("o", 1)), events).to_pylist()
    assert [row["_id"] for row in rows] == ["o", "p", "q"]
    assert [row["by-who.times_1h"] for row in rows] == [0.0, 1.0, 2.0]
    assert [row["by-who.good_24h"] for row in rows] == [[None, None], [1.0, None], [1.0, 0.0]]
    assert [row["hour"] for row in rows] == [1.0, 5.0, 6.0]


def test_a_question_may_be_asked_of_what_became_known_after_its_moment() -> None:
    """As a question of now is: its windows end at its moment, and it sees all that there is."""
    rows = Outcomes(model(), 99 * HOUR)(asked(("q", 6), ("p", 5)), done())
    events = done(("a", 5.5, True), ("b", 5.6, True), ("c", 7, True))
    late = events.append_column("_known_us", pa.array([6 * HOUR, 8 * HOUR, 7 * HOUR]))
    found = []
    for known_by in (rows["_at_us"], pa.array([8 * HOUR] * 2)):
        given = rows.append_column("_known_by_us", known_by)
        answered = ViewFeatures(VIEW, 0, TimeParts([]))(given, late)
        found.append(numbers(answered["_answers"], 3)[:, 0].tolist())
    assert found == [[1.0, 0.0], [2.0, 0.0]]


def test_a_question_lies_in_the_part_of_its_moment_or_of_its_row() -> None:
    moments = pa.table({"_at_us": [5, 10, 11, 29, 30]})
    assert TimeParts([10, 30]).of(moments).tolist() == [0, 1, 1, 1, 2]
    assert TimeParts([]).of(moments).tolist() == [0] * 5
    numbered = pa.table({"_row": [0, 15, 16, (7 << 4) + 3]})
    assert RowParts(4).of(numbered).tolist() == [0, 0, 1, 7]


def test_the_digest_depends_on_values_alone() -> None:
    events = done(("a", 4.5, True), ("b", 5.5, False))
    rows = built(asked(("q", 6), ("p", 5)), events)
    again = built(
        asked(("q", 6), ("p", 5)), pa.concat_tables([events.slice(1), events.slice(0, 1)])
    )
    assert digest_of(again) == digest_of(rows)
    changed = rows.set_column(rows.schema.get_field_index("_label"), "_label", pa.array([1.0, 0.0]))
    assert digest_of(changed) != digest_of(rows)
    assert digest_of(pa.concat_tables([rows.slice(0, 1), rows.slice(1)])) == digest_of(rows)


def test_a_null_differs_from_a_zero_in_the_digest() -> None:
    assert digest_of(pa.table({"x": pa.array([None, 0.0])})) != digest_of(
        pa.table({"x": pa.array([0.0, None])})
    )
    assert digest_of(pa.table({"x": pa.array([["a", "b"], []])})) != digest_of(
        pa.table({"x": pa.array([["a"], ["b"]])})
    )


def test_no_moment_lies_in_two_files() -> None:
    at, counts = np.array([10, 20, 30, 40, 50]), np.array([3, 4, 3, 9, 1])
    assert file_bounds(at, counts, 5) == [30, 40, 50]
    assert file_bounds(at, counts, 100) == []


def test_the_split_is_by_time_as_near_to_its_shares_as_moments_allow() -> None:
    assert split_by_time(np.arange(100), np.ones(100, int), (0.7, 0.15)) == Split(
        train_until_us=69, validation_until_us=84
    )
    assert split_by_time(np.array([7]), np.array([3]), (0.7, 0.15)) == Split(
        train_until_us=7, validation_until_us=7
    )


@pytest.mark.parametrize("cuts", [[], [3], [1, 2, 5], [0, 8]])
def test_statistics_do_not_depend_on_the_parts(cuts: list[int]) -> None:
    values = np.array([1e15, 2.0, np.nan, -3.5, 1e-9, 4.0, 7.25, 1e15 + 4])
    whole = Moments.of(values)
    merged = Moments()
    for part in np.split(values, cuts):
        merged = merged.merged(Moments.of(part))
    assert (merged.count, merged.nulls, merged.low, merged.high) == (7, 1, -3.5, 1e15 + 4)
    assert merged.mean == pytest.approx(whole.mean, rel=1e-12)
    assert merged.squares == pytest.approx(np.nansum((values - np.nanmean(values)) ** 2), rel=1e-12)


@pytest.mark.parametrize("value", [1.7e308, -1.7e308, np.inf, -np.inf, 1e200])
def test_numbers_too_large_for_a_sum_are_clipped_and_counted(value: float) -> None:
    """Three of the same, and their negative: mean and deviation of numbers at the bound,
    in any parts.
    """
    values = np.array([value, value, value, -value, np.nan])
    merged = Moments.of(values[:2]).merged(Moments.of(values[2:]))
    for moments in (Moments.of(values), merged):
        summary = moments.summary()
        assert (summary.count, summary.nulls, summary.clipped) == (4, 1, 4)
        assert summary.mean == pytest.approx(math.copysign(BOUND / 2, value))
        assert summary.std == pytest.approx(BOUND * math.sqrt(0.75))
        assert (summary.min, summary.max) == (-BOUND, BOUND)


def test_no_count_of_rows_makes_the_largest_deviation_overflow() -> None:
    low, high = (
        Moments(count=1 << 40, mean=mean, squares=0.0, low=mean, high=mean)
        for mean in (-BOUND, BOUND)
    )
    assert low.merged(high).summary().std == pytest.approx(BOUND)


def test_a_tally_of_no_rows_travels() -> None:
    empty = Tally(
        numeric={"x": Moments.of(np.zeros(0))}, categories={"c": []}, sequences={}, label=Moments()
    )
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(empty), type=Tally)
    full = Tally(
        numeric={"x": Moments.of(np.array([2.0]))},
        categories={"c": ["b"]},
        sequences={},
        label=Moments.of(np.ones(1)),
    )
    assert merge_tallies([sent, full]).statistics(Split(1, 2)).numeric == {
        "x": Summary(count=1, nulls=0, mean=2.0, std=0.0, min=2.0, max=2.0, clipped=0)
    }
    assert sent.statistics(Split(1, 2)).label == LabelSummary(count=0, mean=0.0)


def test_answers_of_many_questions_survive_their_bytes_in_several_arrays() -> None:
    answers = np.random.default_rng(1).normal(size=(100, 7))
    made = as_bytes(answers, most_bytes=8 * 7 * 9)
    assert made.num_chunks == 12
    assert numbers(made, 7).tobytes() == answers.tobytes()
    assert numbers(made.slice(5, 50), 7).tobytes() == answers[5:55].tobytes()
    assert numbers(as_bytes(np.zeros((0, 7))), 7).shape == (0, 7)


def test_an_integer_beyond_what_a_float_holds_is_trained_with_the_nearest() -> None:
    values = [2**53 + 1, 2**62, -(2**62), None]
    assert floats(pa.array(values, pa.int64())).tolist()[:3] == [
        float(value) for value in values if value is not None
    ]
    assert floats(pa.chunked_array([pa.array([4611686018427387904])])).tolist() == [2.0**62]


def test_the_digest_of_rows_is_that_of_their_file(tmp_path: Path) -> None:
    table = pa.table(
        {
            "n": pa.array([1, None]),
            "flag": pa.array([True, None]),
            "text": pa.array(["a", None]),
            "v": pa.array([-0.0, None]),
            "v.last": pa.array([[0.5, None], []]),
        }
    )
    pq.write_table(table, tmp_path / "file")
    assert digest_of(pq.read_table(tmp_path / "file")) == digest_of(table)
