"""Metrics become lines, second by second."""

from monitor_svc.telemetry import SECOND_US, SETTLE_S, SMOOTH_S, Telemetry
from schemas.events import MetricObserved

NOW = 1_000_000


def metric(
    name: str, value: float, second: int, kind: str = "counter", unit: str = "1", **more: object
) -> MetricObserved:
    return MetricObserved(
        name=name,
        value=value,
        unit=unit,
        service=more.pop("service", "ingest"),
        kind=kind,
        observed_at_us=second * SECOND_US,
        **more,
    )


def test_counter_becomes_a_rate_by_source() -> None:
    telemetry = Telemetry(60)
    for second in range(NOW - SMOOTH_S + 1, NOW + 1):
        telemetry.take(
            metric("ingest_records_logged_total", 100, second, labels={"source": "orders"})
        )
    assert telemetry.tick((NOW + SETTLE_S) * SECOND_US) == {"logged:orders": 100.0}
    assert telemetry.total("logged") == {"orders": 500.0}


def test_summaries_of_several_processes_are_weighted_and_in_milliseconds() -> None:
    telemetry = Telemetry(60)
    telemetry.take(
        metric("view_freshness_ms", 30, NOW, "summary", "s", quantiles={"p50": 0.01, "p99": 0.05})
    )
    telemetry.take(
        metric("view_freshness_ms", 10, NOW, "summary", "s", quantiles={"p50": 0.03, "p99": 0.20})
    )
    assert telemetry.tick((NOW + SETTLE_S) * SECOND_US) == {
        "freshness.p50": 15.0,
        "freshness.p99": 200.0,
    }


def test_line_has_no_value_when_nothing_came_lately() -> None:
    telemetry = Telemetry(60)
    telemetry.take(metric("speed_lag_messages", 7, NOW, "gauge", service="speed"))
    telemetry.tick((NOW + SETTLE_S) * SECOND_US)
    telemetry.tick((NOW + SETTLE_S + SMOOTH_S) * SECOND_US)
    assert telemetry.history() == {"t": [NOW, NOW + SMOOTH_S], "lag:speed": [7.0, None]}


def test_history_is_drawn_again_from_what_was_read() -> None:
    telemetry = Telemetry(60)
    telemetry.take(metric("ingest_records_logged_total", 5, NOW - 30, labels={"source": "orders"}))
    telemetry.redraw((NOW + SETTLE_S) * SECOND_US)
    history = telemetry.history()
    assert (history["t"][0], history["t"][-1]) == (NOW - 30, NOW)
    assert history["logged:orders"][0] == 1.0
    assert history["logged:orders"][-1] is None


def test_memory_is_bounded() -> None:
    telemetry = Telemetry(60)
    for second in range(NOW, NOW + 500):
        telemetry.take(
            metric("ingest_records_logged_total", 5, second, labels={"source": "orders"})
        )
        telemetry.tick(second * SECOND_US)
    assert len(telemetry.history()["t"]) == 60
