"""What events do to the monitor's state, and what it says."""

import msgspec
import pytest

from monitor_svc import handlers, reading, snapshot
from monitor_svc.known_time import NEVER, KnownTime
from monitor_svc.ledger import DeadLetter
from monitor_svc.service import SERVICE
from monitor_svc.settings import MonitorSettings
from schemas import events as ev
from tests.unit.monitor.world import (
    DAY,
    HOUR,
    pack,
    prediction,
    scores_and_labels,
    state,
    with_row,
)
from twinstream.errors import SettingsError
from twinstream.protocol.known_time import EARLIEST_US


def at_tail(world: object) -> None:
    world.known.predictions_at_end, world.caught_up = True, True


def play(
    world: object, n: int, skill: float, *, shift: float = 0.0, start: int = 0, model: str = "m1"
) -> None:
    for i, (score, label) in enumerate(zip(*scores_and_labels(n, skill), strict=True)):
        at = (start + i) * 1_000_000 + 1
        reading.handle(
            prediction(f"f{start + i}", at, float(score), model=model, delay=float(i % 7) + shift),
            world,
        )
        handlers.handle_log_message(
            "arrivals",
            0,
            pack([(f"f{start + i}", at + HOUR, 30 if label else 0)], start + i),
            world,
        )


def test_label_record_reaches_its_prediction() -> None:
    world = state()
    reading.handle(prediction("f1", 0, 0.9), world)
    handlers.handle_log_message("arrivals", 0, pack([("f1", HOUR, 20)]), world)
    quality = world.models["late-arrival"].quality
    assert (quality.all.n, quality.all.positives) == (1, 1)


def test_an_answer_that_is_sent_again_counts_once() -> None:
    world = state()
    for _ in range(2):
        reading.handle(prediction("f1", 0, 0.9), world)
    reading.handle(prediction("f2", 0, 0.9), world)
    assert world.models["late-arrival"].predicted_total == 2


def test_rewritten_log_rows_do_not_count_twice() -> None:
    world = state()
    reading.handle(prediction("f1", 0, 0.9), world)
    handlers.handle_log_message("arrivals", 0, pack([("f0", HOUR, 0), ("f1", HOUR, 20)], 0), world)
    handlers.handle_log_message("arrivals", 0, pack([("f1", HOUR, 0)], 1), world)
    assert world.models["late-arrival"].quality.counts == {"arrived": 1, "missing": 0, "revised": 0}


def test_missing_label_counts_when_known_time_has_passed_the_horizon() -> None:
    world = state()
    at_tail(world)
    reading.handle(prediction("cancelled", 0, 0.9), world)
    handlers.handle_log_message("arrivals", 0, pack([("other", DAY + 1, 20)]), world)
    handlers.advance(world, now_us=0)
    assert world.models["late-arrival"].quality.counts["missing"] == 1
    assert world.unpublished_labels == {("late-arrival", "missing"): 1}


def test_label_is_not_missing_while_predictions_or_labels_are_unread() -> None:
    known = KnownTime("replay")
    known.labels_us[("arrivals", 0)] = 5 * DAY
    assert known.watermark_us(0) == EARLIEST_US
    known.predicted(2 * DAY)
    assert known.watermark_us(0) == 2 * DAY
    known.labels_open = {("arrivals", 1)}
    assert known.watermark_us(0) == EARLIEST_US
    known.predictions_at_end, known.labels_open = True, set()
    assert known.watermark_us(NEVER) == 5 * DAY


def test_label_of_1950_is_missing_when_its_own_horizon_has_passed_in_a_replay() -> None:
    """Neither before a label was read, nor not before 1970."""
    world, long_ago = state(), -7_000 * DAY
    world.known.predictions_at_end = True
    reading.handle(prediction("f1", long_ago, 0.9), world)
    handlers.advance(world, now_us=0)
    assert world.models["late-arrival"].quality.counts["missing"] == 0
    handlers.handle_log_message("arrivals", 0, pack([("other", long_ago + DAY, 20)]), world)
    handlers.advance(world, now_us=0)
    assert world.models["late-arrival"].quality.counts["missing"] == 0
    handlers.handle_log_message(
        "arrivals", 0, pack([("other", long_ago + 2 * DAY, 20)], raw_first=1), world
    )
    handlers.advance(world, now_us=0)
    assert world.models["late-arrival"].quality.counts["missing"] == 1


def test_stream_that_is_behind_is_read_first() -> None:
    known = KnownTime("wall")
    known.labels_open, known.labels_us = {("a", 0)}, {("a", 0): 100}
    known.predicted(50)
    assert known.next_streams() == (True, False)
    known.predicted(150)
    assert known.next_streams() == (False, True)
    known.labels_open, known.predictions_at_end = set(), True
    assert known.next_streams() == (True, True)


def test_labels_run_with_the_wall_clock_from_the_answer() -> None:
    world = state(clock="wall")
    at_tail(world)
    reading.handle(prediction("f1", 0, 0.9, served_us=100 * DAY), world)
    handlers.advance(world, now_us=100 * DAY + HOUR)
    assert world.models["late-arrival"].joiner.pending == 1
    handlers.advance(world, now_us=101 * DAY + HOUR)
    assert world.models["late-arrival"].joiner.pending == 0


def test_unjoinable_prediction_is_counted_when_its_request_lacks_the_id() -> None:
    world = state()
    event = prediction("f1", 0, 0.9)
    reading.handle(with_row(event, {"origin": "JFK"}, {}), world)
    assert world.models["late-arrival"].unjoinable == 1


def test_retrain_is_requested_once_when_quality_is_bad() -> None:
    world = state()
    play(world, 2500, skill=0.1)
    assert handlers.judge(world, 10**15) == []
    at_tail(world)
    [request] = [
        event for event in handlers.judge(world, 10**15) if isinstance(event, ev.RetrainRequested)
    ]
    assert request.reason.startswith("quality: AUC")
    assert not [
        event
        for event in handlers.judge(world, 10**15 + 1)
        if isinstance(event, ev.RetrainRequested)
    ]


def test_drift_is_announced_once_within_its_quiet_time() -> None:
    world = state(reference=500, window=300, drift_step=100)
    at_tail(world)
    play(world, 900, skill=2.0)
    handlers.judge(world, 10**15)
    play(world, 400, skill=2.0, shift=50.0, start=900)
    found = [
        event for event in handlers.judge(world, 10**15) if isinstance(event, ev.DriftDetected)
    ]
    assert ("delay", "ks") in {(event.series, event.detector) for event in found}
    play(world, 100, skill=2.0, shift=50.0, start=1300)
    assert ("delay", "ks") not in {
        (e.series, e.detector)
        for e in handlers.judge(world, 10**15 + 1)
        if isinstance(e, ev.DriftDetected)
    }


def test_drift_announced_before_a_restart_is_not_announced_again() -> None:
    world = state(reference=500, window=300, drift_step=100)
    at_tail(world)
    reading.handle(
        ev.DriftDetected(
            model="late-arrival",
            series="delay",
            detector="ks",
            statistic=1,
            threshold=0.2,
            detected_at_us=10**15,
        ),
        world,
    )
    play(world, 900, skill=2.0)
    play(world, 400, skill=2.0, shift=50.0, start=900)
    assert not [
        e
        for e in handlers.judge(world, 10**15 + 1)
        if isinstance(e, ev.DriftDetected) and e.series == "delay"
    ]


def test_new_model_is_compared_with_its_own_first_predictions() -> None:
    world = state(reference=500, window=300, drift_step=100)
    play(world, 900, skill=2.0)
    reading.handle(prediction("f", 10**12, 0.5, model="m2", epoch=2), world)
    watch = world.models["late-arrival"]
    assert watch.model_digest == "m2"
    assert watch.drift.reference_share < 0.01
    assert list(watch.predictions.values()) == [900, 1]


def test_prediction_of_an_unknown_model_is_counted_only() -> None:
    world = state()
    assert (
        reading.handle(msgspec.structs.replace(prediction("f", 1, 0.5), model="gone"), world) == []
    )


def test_log_message_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        handlers.handle_log_message("arrivals", 0, b"nonsense", state())


def test_every_handled_event_has_a_topic_that_is_read() -> None:
    read = {*reading.FACTS, reading.PREDICTIONS, reading.METRICS}
    assert set(SERVICE.control_topics) == read
    assert all(topic.split(".")[0] in {"monitor", "mesh"} for topic in SERVICE.writes)


def test_snapshot_is_json_when_nothing_and_when_everything_happened() -> None:
    world = state()
    msgspec.json.encode(snapshot.whole(world, [], 10**15))
    at_tail(world)
    play(world, 600, skill=1.0)
    reading.handle(
        ev.ViewPublished(
            view="sky",
            source="weather",
            epoch=1,
            cut={},
            files=[],
            definition_digest="d",
            as_of_us=1,
            complete_since={},
            published_at_us=5,
        ),
        world,
    )
    reading.handle(
        ev.ModelPromoted(
            model="late-arrival",
            model_digest="m1",
            uri="",
            version_ids={},
            definition_digest="d",
            metrics={"auc": 0.8},
        ),
        world,
    )
    handlers.handle_dead_letter(
        DeadLetter(
            service="ingest", reason="no JSON", topic="t", partition=0, offset=1, bytes=9, at_us=1
        ),
        world,
    )
    world.telemetry.tick(10**15)
    shown = snapshot.whole(world, [], 10**15)
    msgspec.json.encode(shown)
    assert shown["models"][0]["labelled"] == 600
    assert shown["epochs"][0]["epoch"] == 1
    assert shown["dead_letters"]["total"] == {"ingest": 1}


def test_settings_name_the_knob_that_is_wrong() -> None:
    assert MonitorSettings.from_env({"TWINSTREAM_MONITOR_WINDOW": "100"}).window == 100
    with pytest.raises(SettingsError, match="rolling"):
        MonitorSettings.from_env({"TWINSTREAM_MONITOR_ROLLING": "many"})


def promoted(digest: str, world: object, **more: object) -> ev.ModelPromoted:
    return ev.ModelPromoted(
        model="late-arrival",
        model_digest=digest,
        uri=digest,
        version_ids={},
        definition_digest=world.pipeline.digest,
        metrics={"auc": 0.8},
        **more,
    )


def test_the_page_shows_what_serves_after_a_roll_back_and_while_held() -> None:
    world = state()
    for event in (
        promoted("m1", world),
        promoted("m2", world),
        ev.ModelRolledBack(
            model="late-arrival", model_digest="m2", to_model_digest="m1", reason="too many alarms"
        ),
        ev.ModelHeld(model="late-arrival", by="ann", reason="audit"),
        promoted("m3", world),
        ev.ModelHeld(model="late-arrival", held=False, by="ann"),
    ):
        reading.handle(event, world)
    assert world.ledger.promoted["late-arrival"] == promoted("m1", world)
    lines = [(line.kind, line.what) for line in world.ledger.timeline]
    assert lines == [
        ("promoted", "promoted"),
        ("promoted", "promoted"),
        ("rolled back", "too many alarms"),
        ("held", "held by ann: audit"),
        ("passed over", "model m3 is not taken: held by ann: audit"),
        ("released", "released by ann"),
    ]
