"""Training and the monitor give a question the same label, and join it by the same key."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor_svc.labels import Asked, Joiner, LabelRow
from preprocess_svc.batch.training_sets.outcomes import Outcomes
from twinstream import Bool, Decimal, Int, Label, Model, Source, String, Timestamp, View, count
from twinstream.define.cleaning import lower, strip
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
ticks = st.integers(0, 12).map(lambda n: n * TICK)
whos = st.sampled_from("ab")
questions = st.lists(st.tuples(whos, ticks), max_size=6)
records = st.lists(st.tuples(whos, ticks, st.sampled_from([True, False, None])), max_size=8)


def model(missing: bool | None) -> Model:
    view = View("by-who", DONE, by="who", features={"times": count().over("1h")})
    label = Label("good", DONE, on="who", horizon="1m", value="good", missing=missing)
    return Model("m", spine=ASKED, at="at", views=[view], label=label, request=("who",))


def table(source: Source, rows: list[dict[str, Any]]) -> pa.Table:
    made = [{"_position": i, "id": str(i), **row} for i, row in enumerate(rows)]
    fields = [(field.name, field.type) for field in source.arrow_fields]
    return pa.Table.from_pylist(made, schema=pa.schema([("_position", pa.int64()), *fields]))


def trained(asked: list[Any], done: list[Any], as_of_us: int, missing: bool | None) -> list[Any]:
    """By question, as the batch layer labels it; None: it is left out."""
    spine = table(ASKED, [{"who": who, "at": at} for who, at in asked])
    outcomes = table(DONE, [{"who": who, "at": at, "good": good} for who, at, good in done])
    found = Outcomes(model(missing), as_of_us)(spine, outcomes)
    labels = dict(zip(found["_row"].to_pylist(), found["_label"].to_pylist(), strict=True))
    return [labels.get(i) for i in range(len(asked))]


def monitored(asked: list[Any], done: list[Any], as_of_us: int, missing: bool | None) -> list[Any]:
    """The same as the monitor does."""
    joiner = Joiner(HORIZON, None if missing is None else float(missing))
    waiting = [
        (who, Asked(model="m", release="r", model_digest="d", at_us=at, score=0.5))
        for who, at in asked
    ]
    for who, question in waiting:
        joiner.ask(who, question, question.at_us)
    for who, at, good in done:
        outcome = float("nan") if good is None else float(good)
        joiner.label(LabelRow(key=who, event_us=at, known_us=at, outcome=outcome))
    joiner.advance(as_of_us)
    return [question.label for _, question in waiting]


@given(asked=questions, done=records, as_of_us=ticks, missing=st.sampled_from([None, False, True]))
def test_training_and_the_monitor_label_a_question_alike(
    asked: list[Any], done: list[Any], as_of_us: int, missing: bool | None
) -> None:
    given_us = max([as_of_us, *(at for _, at, _ in done)])
    assert trained(asked, done, given_us, missing) == monitored(asked, done, given_us, missing)


def test_a_horizon_that_ends_now_has_not_passed() -> None:
    """A record of the last moment may still become known at that moment."""
    for labels in (trained, monitored):
        assert labels([("a", 0)], [], HORIZON, missing=False) == [None]
        assert labels([("a", 0)], [], HORIZON + 1, missing=False) == [0.0]


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
