"""Labels over the time after the question: the batch layer's, the monitor's and the naive way's are
the same, whatever comes late, twice, at one time or as null.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor_svc.label_log import LabelLog
from monitor_svc.label_rows import Asked, Outcome
from monitor_svc.labels import Joiner
from preprocess_svc.batch.training_sets.outcomes import Outcomes
from schemas.packs import KNOWN, PACK, RAW, PackHeader, encode_pack
from twinstream import (
    Bool,
    Decimal,
    Label,
    Model,
    Source,
    String,
    Timestamp,
    View,
    any_,
    count,
    first,
    last,
    maximum,
    mean,
    minimum,
    share,
    sum_,
    time_to_first,
)
from twinstream.audit.labels import label_of_question
from twinstream.audit.plain import Row
from twinstream.protocol.outcomes import join_key, question_key

HORIZON = 60_000_000
TICK = HORIZON // 4
FIELDS = {
    "id": String(),
    "who": String(optional=True),
    "asked": Timestamp(),
    "at": Timestamp(),
    "amount": Decimal(2, optional=True),
    "gift": Bool(optional=True),
}
BOUGHT = Source("bought", id="id", key="who", event_time="at", fields=FIELDS)
ASKED = Source("asked", id="id", key="id", event_time="asked", fields=FIELDS)
VIEW = View("by-who", BOUGHT, by="who", features={"times": count().over("1h")})
VALUES: dict[str, Callable[[], Any]] = {
    "count": count,
    "count of a field": lambda: count("amount"),
    "count where": lambda: count(where=lambda r: r.amount >= 2),
    "more than one": lambda: count() > 1,
    "none": lambda: count() == 0,
    "sum": lambda: sum_("amount"),
    "sum compared": lambda: sum_("amount") <= 2.5,
    "sum of gifts": lambda: sum_("gift", where="gift"),
    "any": any_,
    "any gift": lambda: any_("gift"),
    "any large gift": lambda: any_(lambda r: r.amount > 1, where="gift"),
    "first": lambda: first("amount"),
    "first was a gift": lambda: first("gift") == True,  # noqa: E712 - a comparison is recorded
    "last": lambda: last("amount"),
    "time to the first": time_to_first,
    "time to the first gift": lambda: time_to_first(where="gift"),
    "soon": lambda: time_to_first("amount") < 30,
    "mean": lambda: mean("amount"),
    "least": lambda: minimum("amount", where=lambda r: ~r.gift),
    "greatest": lambda: maximum("amount") >= 3,
    "share": lambda: share("gift"),
    "share of a field": lambda: share(lambda r: r.amount > 2) != 0.5,
}
ticks = st.integers(0, 16).map(lambda n: n * TICK)
near = st.sampled_from([0, 0, 1, -1]) | st.integers(-2, 2)
AMOUNTS = [None, 0, 100, 100, 250, 333, -700, 2**62, -(2**62)]
records = st.builds(
    lambda n, who, at, off, ahead, late, amount, gift: {
        "id": f"r{n}",
        "who": who,
        "asked": at + off - ahead,
        "at": at + off,
        "known": at + off + late,
        "amount": amount,
        "gift": gift,
    },
    st.integers(0, 9),
    st.sampled_from(["a", "a", "b", None]),
    ticks,
    near,
    st.sampled_from([0, 0, TICK, 1]),
    st.sampled_from([0, 0, 1, TICK, HORIZON]),
    st.sampled_from(AMOUNTS),
    st.sampled_from([True, False, None]),
)


def model(kind: str, spine: Source, missing: float | None = None) -> Model:
    label = Label("later", BOUGHT, on="who", horizon="1m", value=VALUES[kind](), missing=missing)
    loss = "binary_cross_entropy" if label.binary else "mean_squared_error"
    return Model("m", spine=spine, at="asked", views=[VIEW], label=label, loss=loss)


def table(source: Source, rows: list[dict[str, Any]]) -> pa.Table:
    fields = [(field.name, field.type) for field in source.arrow_fields]
    made = [{"_position": i, **row} for i, row in enumerate(rows)]
    return pa.Table.from_pylist(made, schema=pa.schema([("_position", pa.int64()), *fields]))


Labels = list[float | None]


def trained(of: Model, asked: list[Any], bought: list[Any], as_of_us: int) -> Labels:
    found = Outcomes(of, as_of_us)(table(of.spine, asked), table(BOUGHT, bought))
    labels = dict(zip(found["_row"].to_pylist(), found["_label"].to_pylist(), strict=True))
    return [labels.get(i) for i in range(len(asked))]


def plain(of: Model, asked: list[Any], bought: list[Any], as_of_us: int) -> Labels:
    rows = [Row(record, position) for position, record in enumerate(bought)]
    return [label_of_question(of, question, rows, as_of_us) for question in asked]


def message(record: dict[str, Any], raw: int) -> bytes:
    """One record as its source's log holds it."""
    columns = {RAW: [raw], KNOWN: [record["known"]], **{name: [record[name]] for name in FIELDS}}
    header = PackHeader(
        kind=PACK,
        epoch=1,
        rows=1,
        raw_first=raw,
        raw_last=raw,
        raw_high=raw,
        known_max_us=record["known"],
    )
    return encode_pack(header, pa.RecordBatch.from_pydict(columns, schema=BOUGHT.pack_schema))


def question(of: Model, record: dict[str, Any]) -> Asked:
    own = question_key(of.spine, of.spine.id_fields, record) if of.own_records else None
    return Asked(
        model="m", release="r", model_digest="d", at_us=record["asked"], score=0.5, own=own
    )


def monitored(of: Model, asked: list[Any], bought: list[Any], as_of_us: int) -> Labels:
    """By what the monitor counted last; everything comes in the order in which it became known,
    and time goes on after each.
    """
    joiner, log, counted = Joiner(of.label), LabelLog(of), dict[int, float | None]()
    questions = [question(of, record) for record in asked]
    numbers = {id(one): n for n, one in enumerate(questions)}

    def take(outcomes: list[Outcome]) -> None:
        counted.update((numbers[id(outcome.asked)], outcome.label) for outcome in outcomes)

    events: list[tuple[int, int, int]] = [
        *((record["asked"], 0, n) for n, record in enumerate(asked)),
        *((record["known"], 1, n) for n, record in enumerate(bought)),
    ]
    for at_us, is_record, n in sorted(events):
        if is_record:
            for row in log.rows(0, message(bought[n], n)):
                take(joiner.label(row))
        elif (key := join_key(of.label, of.spine, asked[n])) is not None:
            take(joiner.ask(key, questions[n], at_us))
        take(joiner.advance(at_us))
    take(joiner.advance(as_of_us))
    assert joiner.unjudged == 0
    return [counted.get(n) for n in range(len(asked))]


def same(one: Labels, other: Labels) -> bool:
    return len(one) == len(other) and all(map(close, one, other))


def close(one: float | None, other: float | None) -> bool:
    """To the last bits of a float, which a sum beyond 2**53 may differ in."""
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-15)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("kind", VALUES)
@given(
    asked=st.lists(records, max_size=5),
    bought=st.lists(records, max_size=9),
    as_of_us=ticks,
    missing=st.sampled_from([None, 0, 1]),
)
def test_batch_monitor_and_the_naive_way_agree(
    kind: str,
    own: bool,
    asked: list[dict[str, Any]],
    bought: list[dict[str, Any]],
    as_of_us: int,
    missing: float | None,
) -> None:
    """`own`: the questions are records of the label's own source, with some records more."""
    of = model(kind, BOUGHT if own else ASKED, missing)
    records_ = sorted([*bought, *(asked if own else [])], key=lambda record: record["known"])
    known = [record for record in records_ if record["known"] <= as_of_us]
    moments = [record for record in asked if record["asked"] <= as_of_us]
    wanted = plain(of, moments, known, as_of_us)
    assert same(trained(of, moments, known, as_of_us), wanted)
    assert same(monitored(of, moments, known, as_of_us), wanted)


def bought_at(*moments: int, **more: Any) -> list[dict[str, Any]]:
    base = {"who": "a", "asked": 0, "amount": 100, "gift": True, **more}
    return [{**base, "id": f"r{n}", "at": at, "known": at} for n, at in enumerate(moments)]


@pytest.mark.parametrize("way", [trained, monitored, plain])
@pytest.mark.parametrize(
    ("moment", "counts"), [(-1, 0.0), (0, 0.0), (1, 1.0), (HORIZON, 1.0), (HORIZON + 1, 0.0)]
)
def test_the_time_after_a_question_begins_after_it_and_holds_its_end(
    way: Callable[..., Labels], moment: int, counts: float
) -> None:
    (asked,) = bought_at(0)
    found = way(model("count", ASKED), [asked], bought_at(moment), HORIZON + 2)
    assert found == [counts]


@pytest.mark.parametrize("way", [trained, monitored, plain])
@pytest.mark.parametrize(
    ("kind", "missing", "worth"),
    [
        ("count", None, 0.0),
        ("any", None, 0.0),
        ("none", None, 1.0),
        ("sum", None, None),
        ("sum", 7, 7.0),
        ("time to the first", None, None),
        ("soon", 0, 0.0),
    ],
)
def test_a_question_without_records_has_what_the_aggregate_is_of_nothing(
    way: Callable[..., Labels], kind: str, missing: float | None, worth: float | None
) -> None:
    (asked,) = bought_at(0)
    assert way(model(kind, ASKED, missing), [asked], [], HORIZON + 1) == [worth]


@pytest.mark.parametrize("way", [trained, monitored, plain])
def test_a_questions_own_record_is_not_in_its_label(way: Callable[..., Labels]) -> None:
    """It is known by its id, also when it comes twice or is dated after the question."""
    mine, again, other, outside = bought_at(TICK, 2 * TICK, 3 * TICK, HORIZON + 1)
    again["id"] = outside["id"] = mine["id"]
    found = way(model("count", BOUGHT), [mine], [mine, again, other, outside], HORIZON + 2)
    assert found == [1.0]


@pytest.mark.parametrize("way", [trained, monitored, plain])
def test_a_question_without_its_key_has_no_label(way: Callable[..., Labels]) -> None:
    (asked,) = bought_at(0, who=None)
    records_ = bought_at(TICK, who=None)
    assert way(model("count", ASKED, 0), [asked], records_, HORIZON + 1) == [None]


@pytest.mark.parametrize("way", [trained, monitored, plain])
def test_sums_of_the_largest_numbers_do_not_overflow(way: Callable[..., Labels]) -> None:
    (asked,) = bought_at(0)
    records_ = bought_at(*range(1, 9), amount=2**62)
    found = way(model("sum", ASKED), [asked], records_, HORIZON + 1)
    assert found == [pytest.approx(8 * 2**62 / 100, rel=1e-15)]


def test_a_late_record_revises_what_the_monitor_counted() -> None:
    (asked,) = bought_at(0)
    (late,) = bought_at(TICK)
    late["known"] = HORIZON + TICK
    of = model("count", ASKED)
    for as_of_us, worth in ((HORIZON + 1, 0.0), (HORIZON + TICK, 1.0)):
        known = [late] if late["known"] <= as_of_us else []
        for way in (trained, monitored, plain):
            assert way(of, [asked], known, as_of_us) == [worth]


def test_no_aggregate_is_told_when_a_record_of_it_was_given_up() -> None:
    of = model("count", ASKED)
    joiner, log = Joiner(of.label, max_kept=3), LabelLog(of)
    asked = [{**record, "asked": at} for at in (0, 3, 9) for record in bought_at(0)]
    questions = [question(of, record) for record in asked]
    for one in questions:
        joiner.ask(("a",), one, one.at_us)
    for n, record in enumerate(bought_at(1, 2, 4, 5, 6, 20)):
        for row in log.rows(0, message(record, n)):
            joiner.label(row)
    (told,) = joiner.advance(HORIZON + 10)
    assert (told.asked.at_us, told.label) == (9, 1.0)
    assert (joiner.unjudged, joiner.given_up) == (2, 3)
    assert joiner.kept()[1] == 3


def crowd(n: int) -> list[dict[str, Any]]:
    """Records of two keys in three horizons, many at one time, with ids that come again; a third of
    them are late.
    """
    rng = np.random.default_rng(7)
    made = []
    for number, tick in zip(rng.integers(0, n, n), rng.integers(0, 12, n), strict=True):
        at, amount = int(tick) * TICK, int(rng.integers(-500, 1000))
        made.append(
            {
                "id": f"r{number}",
                "who": str(rng.choice(["a", "a", "b"])),
                "asked": at - int(rng.integers(-1, 2)) * TICK,
                "at": at,
                "known": at + int(rng.choice([0, TICK, HORIZON])),
                "amount": None if amount > 900 else amount,
                "gift": [True, False, None][rng.integers(3)],
            }
        )
    return sorted(made, key=lambda record: record["known"])


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("kind", VALUES)
def test_a_crowded_key_has_the_labels_of_the_naive_way(kind: str, own: bool) -> None:
    of, records_ = model(kind, BOUGHT if own else ASKED), crowd(120)
    asked = records_[::3]
    wanted = plain(of, asked, records_, 9 * HORIZON)
    assert len(set(wanted)) > 1
    assert same(trained(of, asked, records_, 9 * HORIZON), wanted)
    assert same(monitored(of, asked, records_, 9 * HORIZON), wanted)
