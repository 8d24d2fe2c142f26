"""Nothing that a request, a metric, a label or an event holds stops the monitor or fills it."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from monitor_svc import handlers, reading, snapshot
from monitor_svc.admission import MOST_OF_ONE, MOST_SERIES, MOST_SERVICES, STALE
from monitor_svc.label_files import MOST_EPOCHS, LabelFiles
from monitor_svc.label_log import LabelLog, LabelLogError
from monitor_svc.label_rows import Asked, LabelRow
from monitor_svc.quality import Quality
from monitor_svc.run import dead_letter_of
from monitor_svc.state import State
from monitor_svc.telemetry import AHEAD_US, MOST_LINES, SECOND_US, SETTLE_S, Telemetry
from schemas import events as ev
from schemas.packs import HEADER_BYTES
from tests.unit.mesh.fakes import Message
from tests.unit.monitor.test_handlers import at_tail, play
from tests.unit.monitor.test_labels import joiner_of
from tests.unit.monitor.test_telemetry import NOW, metric
from tests.unit.monitor.world import (
    DAY,
    HOUR,
    pack,
    pipeline,
    prediction,
    state,
    with_row,
)
from twinstream import Decimal, Int, Label, Source, String, Timestamp
from twinstream.define.label import Settles
from twinstream.protocol.outcomes import join_key

HUGE = int("9" * 400)
ODD = [None, True, [], ["f1"], {}, {"a": 1}, HUGE, -HUGE, 1e308, -1e308, "", "\udc80", "9" * 5000]
DEEP: Any = []
for _ in range(900):
    DEEP = [DEEP]

label_of_all = Label(
    "odd",
    Source(
        "all",
        fields={"i": Int(), "s": String(), "d": Decimal(2), "t": Timestamp(), "at": Timestamp()},
        id="s",
        key="s",
        event_time="at",
    ),
    on=("i", "s", "d", "t"),
    horizon="1h",
    value=lambda r: r.i > 0,
)


@pytest.mark.parametrize("field", ["i", "s", "d", "t"])
@pytest.mark.parametrize("value", [*ODD, DEEP, "1e999999", "NaN", "Infinity", "1" + "0" * 400])
def test_a_key_of_any_value_is_a_key_or_none(field: str, value: Any) -> None:
    request = {"i": 1, "s": "a", "d": "1.25", "t": 0, field: value}
    key = join_key(label_of_all, label_of_all.source, request)
    assert isinstance(hash(key), int)


def test_a_key_is_as_its_fields_store_it() -> None:
    at = "2024-01-01T00:00:00Z"
    request = {"i": 7, "s": "a", "d": "1.25", "t": at}
    assert join_key(label_of_all, label_of_all.source, request) == (
        7,
        "a",
        125,
        1_704_067_200_000_000,
    )


@pytest.mark.parametrize("value", [*ODD, DEEP])
def test_a_prediction_of_any_request_is_taken(value: Any) -> None:
    world = state(reference=5, window=5, drift_step=5)
    for i in range(12):
        event = prediction(f"f{i}", i, 0.5, delay=1.0)
        request = {**event.rows[0].request, "flight_id": value, "distance": value}
        features = {"delay": value, f"new{i}": value}
        reading.handle(with_row(event, request, features), world)
    handlers.judge(world, 10**15)
    msgspec.json.encode(snapshot.whole(world, [], 10**15))
    assert world.models["late-arrival"].predicted_total == 12


@pytest.mark.parametrize("score", [1e308, -1e308, 5e-324, 0.0, 1.0])
def test_a_prediction_of_any_score_is_measured(score: float) -> None:
    world = state(reference=200, window=200, drift_step=100, rolling=300, quality_step=10)
    at_tail(world)
    for i in range(600):
        reading.handle(prediction(f"f{i}", i, score if i % 3 else 0.2), world)
        handlers.handle_log_message("arrivals", 0, pack([(f"f{i}", i + HOUR, 20)], i), world)
    handlers.judge(world, 10**15)
    assert world.models["late-arrival"].quality.all.n == 600
    msgspec.json.encode(snapshot.whole(world, [], 10**15))


def test_sixty_thousand_forged_series_cost_neither_memory_nor_what_is_true() -> None:
    world = state()
    for i in range(60_000):
        if i % 100 == 0:
            reading.handle(metric("view_freshness_ms", 1, NOW, "gauge", service="view"), world)
        labels = {"source": f"s{i}"}
        forged = metric("ingest_records_logged_total", 1, NOW, service="ingest", labels=labels)
        reading.handle(forged, world)
    telemetry = world.telemetry
    assert sum(latest.service == "view" for latest in telemetry.latest.values()) == 1
    assert len(telemetry.latest) <= MOST_OF_ONE + 1
    assert telemetry.dropped >= 59_000 - 60_000 // STALE * MOST_OF_ONE
    telemetry.redraw((NOW + SETTLE_S) * SECOND_US)
    assert len(telemetry.history()) <= MOST_LINES + 2
    assert len(msgspec.json.encode(snapshot.whole(world, [], NOW * SECOND_US))) < 1_000_000


def test_series_of_sixty_thousand_services_are_bounded() -> None:
    telemetry = Telemetry(60)
    for i in range(60_000):
        telemetry.take(metric("x", 1, NOW, service=f"s{i % 3000}", labels={"i": str(i)}))
    assert len({latest.service for latest in telemetry.latest.values()}) <= MOST_SERVICES
    assert len(telemetry.latest) <= MOST_SERIES


def test_a_series_that_ended_makes_room_for_a_new_one() -> None:
    telemetry = Telemetry(60)
    for i in range(MOST_OF_ONE):
        telemetry.take(metric("x", 1, NOW, labels={"release": str(i)}))
    for _ in range(STALE):
        telemetry.take(metric("x", 1, NOW, labels={"release": "0"}))
    telemetry.take(metric("x", 1, NOW, labels={"release": "new"}))
    releases = {latest.labels["release"] for latest in telemetry.latest.values()}
    assert "new" in releases
    assert "0" in releases
    assert len(releases) == MOST_OF_ONE


@pytest.mark.parametrize(
    "odd",
    [
        {"name": "x" * 10_000},
        {"name": "a\x00b"},
        {"name": ""},
        {"service": "<script>"},
        {"kind": "exploit"},
        {"unit": "u" * 10_000},
        {"labels": {"a": "v" * 1_000_000}},
        {"labels": {f"l{i}": "" for i in range(1000)}},
        {"labels": {"l" * 1_000_000: ""}},
        {"quantiles": {f"p{i}": 0.5 for i in range(1000)}},
    ],
)
def test_a_metric_that_no_service_would_send_is_counted_only(odd: dict[str, Any]) -> None:
    telemetry = Telemetry(60)
    telemetry.take(msgspec.structs.replace(metric("x", 1, NOW), **odd))
    assert (telemetry.latest, telemetry.dropped) == ({}, 1)


def test_metrics_of_the_future_do_not_push_the_present_out() -> None:
    telemetry = Telemetry(60)
    telemetry.now_us = NOW * SECOND_US
    telemetry.take(metric("speed_lag_messages", 7, NOW, "gauge", service="speed"))
    for second in range(1000):
        ahead = NOW + AHEAD_US // SECOND_US + 1 + second
        telemetry.take(metric("speed_lag_messages", 9, ahead, "gauge", service="speed"))
        telemetry.count("predictions", ahead * SECOND_US)
    assert telemetry.tick((NOW + SETTLE_S) * SECOND_US) == {"lag:speed": 7.0}


def test_sums_of_the_largest_numbers_stay_finite() -> None:
    world = state()
    for _ in range(3):
        reading.handle(metric("x_total", 1.7e308, NOW, labels={"source": "a"}), world)
    (latest,) = world.telemetry.latest.values()
    assert math.isfinite(latest.total)


FORGED: list[ev.Event] = [
    ev.DriftDetected(
        model="late-arrival",
        series="delay",
        detector="ks",
        statistic=1,
        threshold=0.2,
        detected_at_us=7 * 10**15,
    ),
    ev.RetrainRequested(model="late-arrival", reason="x" * 10**6, requested_at_us=7 * 10**15),
]


@pytest.mark.parametrize("event", FORGED, ids=lambda event: type(event).__name__)
def test_an_announcement_from_the_future_quiets_only_for_its_time(event: ev.Event) -> None:
    world = state(reference=500, window=300, drift_step=100)
    at_tail(world)
    world.told(10**15)
    reading.handle(event, world)
    play(world, 900, skill=2.0)
    play(world, 2500, skill=0.1, shift=50.0, start=900)
    later = 10**15 + DAY * 30
    world.told(later)
    found = {type(found) for found in handlers.judge(world, later)}
    assert found == {ev.DriftDetected, ev.RetrainRequested}


def test_events_of_what_the_definition_lacks_leave_nothing() -> None:
    world = state()
    for i in range(20_000):
        name = f"m{i}"
        for event in (
            ev.DriftDetected(model=name, series=name, detector="ks", statistic=1, threshold=1),
            ev.RetrainRequested(model=name, reason=""),
            ev.ModelPromoted(
                model=name,
                model_digest="",
                uri="",
                version_ids={},
                definition_digest="",
                metrics={},
            ),
        ):
            reading.handle(event, world)
    assert world.announced_us == {}
    assert world.ledger.promoted == {}
    assert world.debounce.allows("m1", "", "", 0)


def test_a_page_of_forged_models_is_small() -> None:
    world = state()
    metrics = {f"metric-{i}" * 100: 1.0 for i in range(2000)}
    for _ in range(300):
        event = ev.ModelPromoted(
            model="late-arrival",
            model_digest="d" * 10**5,
            uri="",
            version_ids={},
            definition_digest="",
            metrics=metrics,
            reason="r" * 10**6,
        )
        reading.handle(event, world)
    assert len(msgspec.json.encode(world.ledger.lists())) < 3_000_000


@pytest.mark.parametrize("name", ["dead_letter_partition", "dead_letter_offset"])
@pytest.mark.parametrize("value", [b"", b"abc", b"-5", b"9" * 5000, b"\xff\xfe", "²".encode()])
def test_a_dead_letter_with_odd_headers_is_shown(name: str, value: bytes) -> None:
    class Timed(Message):
        def timestamp(self) -> tuple[int, int]:
            return 1, 5

    shown = dead_letter_of(Timed(head=[(name, value), ("dead_letter_reason", b"r" * 10**6)]), "x")
    assert (shown.partition, shown.offset) == (-1, -1)
    assert len(shown.reason) <= 500


@pytest.mark.parametrize("cut", [HEADER_BYTES + 1, HEADER_BYTES + 40, -1, -64])
def test_a_pack_whose_rows_are_broken_is_refused_as_such(cut: int) -> None:
    (model,) = pipeline().models
    with pytest.raises(LabelLogError):
        LabelLog(model).rows(0, pack([("f1", HOUR, 20)])[:cut])


def asked() -> Asked:
    return Asked(model="m", release="r", model_digest="d", at_us=0, score=0.4)


def row(event_us: int, outcome: float) -> LabelRow:
    return LabelRow(key="a", event_us=event_us, known_us=event_us, outcome=outcome)


def test_a_question_is_left_out_when_its_latest_outcome_is_null() -> None:
    joiner, quality = joiner_of(None), Quality(10, 100)
    joiner.ask("a", asked(), 0)
    for record in (row(10, 1.0), row(20, math.nan)):
        for outcome in joiner.label(record):
            quality.take(outcome, 0)
    assert (quality.all.n, joiner.pending) == (0, 1)
    assert len(quality.rolling()[0]) == 0
    for outcome in joiner.label(row(30, 0.0)):
        quality.take(outcome, 0)
    assert (quality.all.n, quality.all.positives, joiner.pending) == (1, 0, 0)
    assert quality.rolling()[1].tolist() == [0.0]


def test_what_waits_is_counted_once_however_late_a_label_comes_and_goes() -> None:
    joiner = joiner_of(None)
    joiner.ask("a", asked(), 0)
    joiner.advance(101)
    assert joiner.pending == 0
    joiner.label(row(10, 1.0))
    joiner.label(row(20, math.nan))
    assert joiner.pending == 0
    joiner.advance(1000)
    assert joiner.pending == 0


def with_label_files(settles: Settles = "at once") -> State:
    """A world in which a file of labels was accepted, and another source's before it."""
    world: State = state(settles=settles)
    at_tail(world)
    file = ev.FileRef(uri="s3://raw/a.csv", sha256="")
    accepted = ev.FileAccepted(source="arrivals", file=file, format="csv", accepted_at_us=0)
    reading.handle(msgspec.structs.replace(accepted, source="weather"), world)
    assert snapshot.whole(world, [], 0)["models"][0]["label_files"] == 0
    reading.handle(accepted, world)
    return world


def landed(world: State, files: int, as_of_us: int) -> None:
    event = ev.ViewPublished(
        view="sky",
        source="weather",
        epoch=1,
        cut={},
        files=[],
        definition_digest="d",
        as_of_us=as_of_us,
        complete_since={},
        published_at_us=5,
        file_count=files,
    )
    reading.handle(event, world)


def labels_after(world: State, at_us: int = 0) -> dict[str, int]:
    """Two questions, one of which has its label in the log; three days later."""
    reading.handle(prediction("in-a-file", at_us, 0.9), world)
    reading.handle(prediction("in-the-log", at_us, 0.9), world)
    rows: list[tuple[str, int, int | None]] = [
        ("in-the-log", at_us + HOUR, 20),
        ("x", at_us + 3 * DAY, 0),
    ]
    handlers.handle_log_message("arrivals", 0, pack(rows), world)
    handlers.advance(world, now_us=0)
    counts: dict[str, int] = snapshot.whole(world, [], 0)["models"][0]["labels"]
    return counts


def test_no_label_is_missing_when_labels_come_in_files() -> None:
    """The monitor reads the log alone, so it cannot say that a label is not there."""
    world = with_label_files()
    assert labels_after(world) == {"arrived": 1, "missing": 0, "revised": 0}
    shown = snapshot.whole(world, [], 0)["models"][0]
    assert (shown["label_files"], shown["pending"], shown["unjudged"]) == (1, 0, 1)


def test_no_question_is_judged_when_files_may_hold_one_of_its_outcomes() -> None:
    world = with_label_files("horizon")
    assert labels_after(world) == {"arrived": 0, "missing": 0, "revised": 0}
    assert snapshot.whole(world, [], 0)["models"][0]["unjudged"] == 2


@pytest.mark.parametrize(
    ("files", "at_us", "judged"), [(1, 5 * DAY, 0), (2, DAY, 0), (2, 5 * DAY, 1)]
)
def test_questions_after_the_epoch_that_holds_the_files_are_judged(
    files: int, at_us: int, judged: int
) -> None:
    """Its records are not later than the first such epoch's time."""
    world = with_label_files("horizon")
    landed(world, files, as_of_us=DAY)
    landed(world, files, as_of_us=9 * DAY)
    assert labels_after(world, at_us) == {"arrived": judged, "missing": judged, "revised": 0}


def test_an_epoch_that_is_read_before_its_files_counts_too() -> None:
    world: State = state(settles="horizon")
    at_tail(world)
    landed(world, files=1, as_of_us=DAY)
    file = ev.FileRef(uri="s3://raw/a.csv", sha256="")
    accepted = ev.FileAccepted(source="arrivals", file=file, format="csv", accepted_at_us=0)
    reading.handle(accepted, world)
    assert labels_after(world, 2 * DAY) == {"arrived": 1, "missing": 1, "revised": 0}


def test_a_hundred_thousand_epochs_before_their_files_cost_no_memory() -> None:
    files = LabelFiles()
    for n in range(100_000):
        files.landed(n, n)
    files.accepted(labels=True)
    assert files.unread_until_us == 100_000 - MOST_EPOCHS
