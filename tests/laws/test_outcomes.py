"""Training and the monitor give a question the same label, and join it by the same key."""

from __future__ import annotations

import json
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor_svc.label_rows import Asked, LabelRow, Outcome
from monitor_svc.labels import Joiner
from preprocess_svc.batch.training_sets.outcomes import Outcomes
from twinstream import Bool, Decimal, Int, Label, Model, Source, String, Timestamp, View, count
from twinstream.define.cleaning import lower, strip
from twinstream.define.label import Settles
from twinstream.define.records import Decoder
from twinstream.protocol.outcomes import join_key, latest_us, within_horizon

HORIZON = 60_000_000
TICK = HORIZON // 4
ASKED = Source(
    "asked",
    id="id",
    key="id",
    event_time="at",
    fields={"id": String(), "at": Timestamp(), "who": String()},
)
DONE = Source(
    "done",
    id="id",
    key="who",
    event_time="at",
    fields={"id": String(), "who": String(), "at": Timestamp(), "good": Bool(optional=True)},
)
TRUE_RATE = 0.1
ticks = st.integers(0, 12).map(lambda n: n * TICK)
whos = st.sampled_from("ab")
questions = st.lists(st.tuples(whos, ticks), max_size=6)
records = st.lists(st.tuples(whos, ticks, st.sampled_from([True, False, None])), max_size=8)


SETTLES = st.sampled_from(["horizon", "at once"])
VIEW = View("by-who", DONE, by="who", features={"times": count().over("1h")})


def label_of_world(missing: bool | None, settles: Settles) -> Label:
    return Label(
        "good", DONE, on="who", horizon="1m", value="good", missing=missing, settles=settles
    )


def model(label: Label) -> Model:
    return Model("m", spine=ASKED, at="at", views=[VIEW], label=label, request=("who",))


def table(source: Source, rows: list[dict[str, Any]]) -> pa.Table:
    made = [{"_position": i, "id": str(i), **row} for i, row in enumerate(rows)]
    fields = [(field.name, field.type) for field in source.arrow_fields]
    return pa.Table.from_pylist(made, schema=pa.schema([("_position", pa.int64()), *fields]))


def trained(asked: list[Any], done: list[Any], as_of_us: int, label: Label) -> list[Any]:
    """By question, as the batch layer labels it; None: it is left out."""
    spine = table(ASKED, [{"who": who, "at": at} for who, at in asked])
    outcomes = table(DONE, [{"who": who, "at": at, "good": good} for who, at, good in done])
    found = Outcomes(model(label), as_of_us)(spine, outcomes)
    labels = dict(zip(found["_row"].to_pylist(), found["_label"].to_pylist(), strict=True))
    return [labels.get(i) for i in range(len(asked))]


def monitored(asked: list[Any], done: list[Any], as_of_us: int, label: Label) -> list[Any]:
    """The same as the monitor does: what it counted last of each question."""
    joiner = Joiner(label)
    waiting = [
        (who, Asked(model="m", release="r", model_digest="d", at_us=at, score=0.5))
        for who, at in asked
    ]
    counted: dict[int, float | None] = {}

    def take(outcomes: list[Outcome]) -> None:
        counted.update((id(outcome.asked), outcome.label) for outcome in outcomes)

    for who, question in waiting:
        take(joiner.ask(who, question, question.at_us))
    for who, at, good in done:
        outcome = float("nan") if good is None else float(good)
        take(joiner.label(LabelRow(key=who, event_us=at, known_us=at, outcome=outcome)))
    take(joiner.advance(as_of_us))
    return [counted.get(id(question)) for _, question in waiting]


def plain(asked: list[Any], done: list[Any], as_of_us: int, label: Label) -> list[Any]:
    """The same by looking at every record for every question, written from docs/definition.md."""
    found: list[float | None] = []
    for who, at in asked:
        fitting = [(time, n) for n, (key, time, _) in enumerate(done) if key == who]
        within = sorted((time, n) for time, n in fitting if at <= time <= at + HORIZON)
        value = done[within[-1][1]][2] if within else None
        settled = at + HORIZON < as_of_us or (label.settles == "at once" and bool(within))
        said = label.missing if value is None else float(value)
        found.append(said if settled else None)
    return found


@given(
    asked=questions,
    done=records,
    as_of_us=ticks,
    missing=st.sampled_from([None, False, True]),
    settles=SETTLES,
)
def test_training_the_monitor_and_plain_reading_label_a_question_alike(
    asked: list[Any], done: list[Any], as_of_us: int, missing: bool | None, settles: Settles
) -> None:
    """Which questions have a label, and which: of records that were known by then."""
    label = label_of_world(missing, settles)
    known = [record for record in done if record[1] <= as_of_us]
    wanted = plain(asked, known, as_of_us, label)
    assert trained(asked, known, as_of_us, label) == wanted
    assert monitored(asked, known, as_of_us, label) == wanted


def test_a_horizon_that_ends_now_has_not_passed() -> None:
    """A record of the last moment may still become known at that moment."""
    label = label_of_world(False, "horizon")
    for labels in (trained, monitored, plain):
        assert labels([("a", 0)], [], HORIZON, label) == [None]
        assert labels([("a", 0)], [], HORIZON + 1, label) == [0.0]


def test_a_record_labels_nothing_before_the_horizon_has_passed() -> None:
    """Unless the definition says that a record settles a question."""
    done = [("a", TICK, True)]
    for labels in (trained, monitored, plain):
        early, at_once = (label_of_world(False, how) for how in get_args(Settles))
        assert labels([("a", 0)], done, HORIZON, early) == [None]
        assert labels([("a", 0)], done, HORIZON, at_once) == [1.0]
        assert labels([("a", 0)], done, HORIZON + 1, early) == [1.0]


def bought_soon(rng: np.random.Generator, n: int) -> tuple[list[Any], list[Any]]:
    """Questions over ten horizons of which a tenth have an outcome, soon; the others never."""
    at = np.sort(rng.integers(0, 10 * HORIZON, n)).tolist()
    delay = rng.integers(1, HORIZON // 10, n).tolist()
    buys = (rng.random(n) < TRUE_RATE).tolist()
    asked = [(str(i), at[i]) for i in range(n)]
    done = [(str(i), at[i] + delay[i], True) for i in range(n) if buys[i]]
    return asked, sorted(done, key=lambda record: record[1])


@pytest.mark.parametrize("seed", range(3))
def test_the_last_horizon_holds_as_many_outcomes_as_are_true(seed: int) -> None:
    """What happened soon is known sooner than what never happens: once, the newest questions with
    a label were all of one outcome. Now they have none, and of every other horizon a tenth have.
    """
    asked, done = bought_soon(np.random.default_rng(seed), 4000)
    as_of_us = 10 * HORIZON
    known = [record for record in done if record[1] < as_of_us]
    label = label_of_world(False, "horizon")
    for labels in (trained, monitored):
        found = labels(asked, known, as_of_us, label)
        newest = [
            said
            for (_, at), said in zip(asked, found, strict=True)
            if at >= as_of_us - HORIZON and said is not None
        ]
        assert newest == []
        for start in range(0, as_of_us - HORIZON, HORIZON):
            said = [
                said
                for (_, at), said in zip(asked, found, strict=True)
                if start <= at < min(start + HORIZON, as_of_us - HORIZON)
            ]
            assert None not in said
            noise = 4 * (TRUE_RATE * (1 - TRUE_RATE) / len(said)) ** 0.5
            assert abs(sum(said) / len(said) - TRUE_RATE) < noise


def test_the_last_horizon_was_one_sided_when_a_record_settled_it() -> None:
    """The fault that the rule is against, as this world shows it: so the test above can fail."""
    asked, done = bought_soon(np.random.default_rng(0), 4000)
    as_of_us = 10 * HORIZON
    known = [record for record in done if record[1] < as_of_us]
    found = trained(asked, known, as_of_us, label_of_world(False, "at once"))
    newest = [
        said
        for (_, at), said in zip(asked, found, strict=True)
        if at >= as_of_us - HORIZON and said is not None
    ]
    assert newest
    assert set(newest) == {1.0}


@given(at=ticks, event=ticks)
def test_both_ends_of_a_horizon_belong_to_it(at: int, event: int) -> None:
    assert within_horizon(at, event, HORIZON) == (at <= event <= latest_us(at, HORIZON))


KINDS = {"i": Int(), "s": String(), "d": Decimal(2), "t": Timestamp(), "b": Bool()}
SPINE = Source(
    "spine",
    fields={**KINDS, "at": Timestamp()},
    id="s",
    key="s",
    event_time="at",
    clean={"s": [strip, lower]},
)
LABEL = Label("odd", SPINE, on=tuple(KINDS), horizon="1h", value=lambda r: r.i > 0)
REQUESTS = st.fixed_dictionaries(
    {
        "i": st.sampled_from([7, 7.0, -3]),
        "s": st.sampled_from(["a", " A ", "\tB", "ÄÖ "]),
        "d": st.sampled_from(["1.25", 1.25, 1, "1e1", "0.005"]),
        "t": st.sampled_from(["2024-01-01T00:00:00Z", "2024-01-01T01:00:00+01:00", 5]),
        "b": st.booleans(),
    }
)


@given(request=REQUESTS)
def test_a_question_joins_by_what_its_record_stores(request: dict[str, Any]) -> None:
    record = json.dumps({**request, "at": 0}).encode()
    row = Decoder(SPINE).json([record]).batch.to_pylist()[0]
    assert join_key(LABEL, SPINE, request) == tuple(row[name] for name in KINDS)


@pytest.mark.parametrize("request_", [{}, {"i": None}, {"i": "seven"}, {"i": True}])
def test_a_question_without_its_key_joins_nothing(request_: dict[str, Any]) -> None:
    full = {"i": 7, "s": "a", "d": 1, "t": 5, "b": True}
    assert join_key(LABEL, SPINE, {**full, "i": None} | request_) is None
