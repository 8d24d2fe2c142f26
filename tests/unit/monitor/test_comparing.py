"""A candidate is measured beside what served: on the same rows, with the same labels."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from monitor_svc import handlers, reading, snapshot
from monitor_svc.comparison_metrics import ComparisonMetrics
from schemas import events as ev
from tests.unit.monitor.world import DAY, HOUR, pack, prediction, state


def asked(flight: str, at_us: int, score: float, shadow: float, by: str = "c1") -> Any:
    told = ev.ShadowAnswer(model_digest=by, outputs=[shadow], batch_shape=1)
    return msgspec.structs.replace(prediction(flight, at_us, score), shadow=told)


def lines(world: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.models["late-arrival"].comparisons.lines()
    return found


def test_agreement_is_that_of_the_rows_that_both_were_asked() -> None:
    world = state()
    for event in (
        asked("f1", 0, 0.25, 0.75),
        asked("f2", 0, 0.75, 0.75),
        asked("f3", 0, 0.5, 0.25),
        prediction("f4", 0, 0.9),
        asked("f5", 0, 0.5, 0.0, by="c2"),
    ):
        reading.handle(event, world)
    first, second = lines(world)
    assert (first["candidate"], first["rows"]) == ("c1", 3)
    assert (first["difference"], first["other_side"]) == (0.25, 1 / 3)
    assert (second["candidate"], second["rows"], second["difference"]) == ("c2", 1, 0.5)
    assert snapshot.whole(world, [], 10**15)["models"][0]["shadows"] == lines(world)


def test_quality_is_that_of_both_on_the_labels_that_came_and_follows_their_corrections() -> None:
    world = state()
    for i, score in enumerate((0.25, 0.75, 0.25, 0.75)):
        reading.handle(asked(f"f{i}", 0, score, 1 - score), world)
    reading.handle(prediction("f9", 0, 0.9), world)
    late = [(f"f{i}", HOUR, 30 if i % 2 else 0) for i in (0, 1, 2, 3)]
    handlers.handle_log_message("arrivals", 0, pack([*late, ("f9", HOUR, 30)]), world)
    (line,) = lines(world)
    assert line["labelled"] == 4
    assert (line["quality"]["served"]["auc"], line["quality"]["candidate"]["auc"]) == (1.0, 0.0)
    turned = [(f"f{i}", 2 * HOUR, 0 if i % 2 else 30) for i in (0, 1, 2, 3)]
    handlers.handle_log_message("arrivals", 0, pack(turned, 5), world)
    (line,) = lines(world)
    assert line["labelled"] == 4
    assert (line["quality"]["served"]["auc"], line["quality"]["candidate"]["auc"]) == (0.0, 1.0)


def test_a_label_that_does_not_come_counts_for_both() -> None:
    world = state()
    world.known.predictions_at_end, world.caught_up = True, True
    reading.handle(asked("f1", 0, 0.9, 0.1), world)
    handlers.handle_log_message("arrivals", 0, pack([("other", DAY + 1, 20)]), world)
    handlers.advance(world, now_us=0)
    assert lines(world)[0]["labelled"] == 1


@pytest.mark.parametrize("odd", [1e308, -1e308, -0.0])
def test_odd_scores_of_forged_candidates_leave_plain_data_in_bounded_memory(odd: float) -> None:
    world = state()
    for i in range(50):
        reading.handle(asked(f"f{i}", 0, odd, -odd, by=f"c{i}"), world)
        handlers.handle_log_message("arrivals", 0, pack([(f"f{i}", HOUR, 30)], i), world)
    assert len(lines(world)) == 20
    msgspec.json.encode(snapshot.whole(world, [], 10**15))


class Gauges:
    def __init__(self) -> None:
        self.told: list[tuple[str, float, dict[str, object]]] = []

    def count(self, name: str, n: float = 1, **labels: object) -> None:
        raise AssertionError(name)

    def gauge(self, name: str, value: float, unit: str = "", **labels: object) -> None:
        self.told.append((name, value, labels))


def test_metrics_are_said_again_only_when_they_rest_on_something_new() -> None:
    world, gauges = state(), Gauges()
    metrics, watch = ComparisonMetrics(gauges), world.models["late-arrival"]
    for i, score in enumerate((0.25, 0.75)):
        reading.handle(asked(f"f{i}", 0, score, 1 - score, by="c" * 64), world)
    metrics.tell(watch)
    metrics.tell(watch)
    assert [name for name, *_ in gauges.told] == [
        "monitor_shadow_difference",
        "monitor_shadow_other_side",
    ]
    rows = [("f0", HOUR, 0), ("f1", HOUR, 30)]
    handlers.handle_log_message("arrivals", 0, pack(rows), world)
    gauges.told.clear()
    metrics.tell(watch)
    metrics.tell(watch)
    areas = {labels["of"]: value for name, value, labels in gauges.told if name.endswith("auc")}
    assert areas == {"candidate": 0.0, "served": 1.0}
    assert {str(labels["candidate"]) for *_, labels in gauges.told} == {"c" * 12}


def by_a_canary(flight: str, at_us: int, score: float) -> Any:
    return msgspec.structs.replace(prediction(flight, at_us, score, model="c1"), canary=True)


def test_a_canary_is_measured_by_its_digest_and_counts_for_nothing_else() -> None:
    world, alone = state(), state()
    for i, score in enumerate((0.25, 0.75, 0.25, 0.75)):
        for one in (world, alone):
            reading.handle(prediction(f"f{i}", 0, score), one)
        reading.handle(by_a_canary(f"g{i}", 0, 1 - score), world)
    rows = [(f"{name}{i}", HOUR, 30 if i % 2 else 0) for name in "fg" for i in range(4)]
    for one in (world, alone):
        handlers.handle_log_message("arrivals", 0, pack(rows), one)
    watch, plain = world.models["late-arrival"], alone.models["late-arrival"]
    assert watch.model_digest == plain.model_digest == "m1"
    assert watch.drift.reference_share == plain.drift.reference_share
    assert (watch.quality.all.n, list(watch.scores)) == (4, list(plain.scores))
    assert len(watch.quality.rolling()[0]) == 4
    models = snapshot.whole(world, [], 10**15)["models"][0]["by_digest"]
    assert {line["digest"]: (line["labelled"], line["auc"]) for line in models} == {
        "m1": (4, 1.0),
        "c1": (4, 0.0),
    }
