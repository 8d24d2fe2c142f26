"""Serves the page over made-up events, to look at it without a mesh: `python -m tests.unit.monitor.feeder PORT [SECONDS]`."""

from __future__ import annotations

import random
import sys
import time

from monitor_svc import handlers, reading
from monitor_svc.adapters.granian_page import PageServer
from monitor_svc.board import Board
from monitor_svc.ledger import DeadLetter
from monitor_svc.state import State
from monitor_svc.telemetry import SECOND_US
from schemas import events as ev
from tests.unit.monitor.world import DAY, HOUR, pack, prediction, state
from twinstream.mesh.clock import WallClock

START = 1_380_600_000 * SECOND_US  # 1 October 2013
A_SECOND = 9_000 * SECOND_US  # simulated time in one second
PROCESSES = ("batch", "ingest", "ingest-http", "monitor", "predict", "speed", "train", "view")


class FakeBeats:
    def read(self) -> list[dict]:
        now = WallClock().now_us()
        lags = {"ingest": 12, "speed": 3, "view": 41, "monitor": 7}
        return [
            {
                "name": name,
                "pid": 4000 + i,
                "ready": name != "train",
                "lag": lags.get(name),
                "at_us": now - (90 if name == "train" else 1) * 700_000,
            }
            for i, name in enumerate(PROCESSES)
        ]


class Feeder:
    """One simulated second at a time."""

    def __init__(self, world: State) -> None:
        self.world, self.rng, self.n, self.raw, self.second = world, random.Random(7), 0, 0, 0
        self.due: list[tuple[int, str, int]] = []
        self.epoch, self.model = 1, "81ab02ff" * 8

    def play(self, at_us: int) -> None:
        self.second += 1
        simulated = START + self.second * A_SECOND
        self._metrics(at_us)
        self._predictions(at_us, simulated)
        self._facts(at_us)
        handlers.advance(self.world, at_us)

    def _metric(
        self,
        name: str,
        value: float,
        at_us: int,
        kind: str,
        service_name: str,
        unit: str = "1",
        **more: dict,
    ) -> None:
        event = ev.MetricObserved(
            name=name,
            value=value,
            unit=unit,
            service=service_name,
            kind=kind,
            observed_at_us=at_us,
            **more,
        )
        reading.handle(event, self.world)

    def _metrics(self, at_us: int) -> None:
        rng = self.rng
        for name, rate in (("schedules", 700), ("arrivals", 640), ("weather", 60)):
            n = max(0, rng.gauss(rate, rate / 12)) * (0.4 if 200 < self.second < 220 else 1)
            self._metric(
                "ingest_records_logged_total",
                n,
                at_us,
                "counter",
                "ingest",
                labels={"source": name},
            )
            self._metric(
                "ingest_duplicates_total",
                rng.randint(0, 5),
                at_us,
                "counter",
                "ingest",
                labels={"source": name},
            )
        p50 = abs(rng.gauss(31, 3)) + (40 if 200 < self.second < 212 else 0)
        self._metric(
            "view_freshness_ms",
            600,
            at_us,
            "summary",
            "view",
            "ms",
            quantiles={"p50": p50, "p99": p50 * 2.3, "max": 140.0},
        )
        p50 = abs(rng.gauss(2.4, 0.2))
        self._metric(
            "predict_answer_ms",
            90,
            at_us,
            "summary",
            "predict",
            "ms",
            quantiles={"p50": p50, "p99": p50 * 2.9, "max": 19.0},
        )
        for name, lag in (("ingest", 15), ("speed", 6), ("view", 30)):
            self._metric(f"{name}_lag_messages", abs(rng.gauss(lag, lag / 3)), at_us, "gauge", name)
        self._metric("batch_seam_difference", 0, at_us, "gauge", "batch")

    def _predictions(self, at_us: int, simulated: int) -> None:
        rows = []
        for _ in range(self.rng.randint(60, 130)):
            self.n += 1
            late = self.rng.random() < 0.24
            score = 1 / (1 + pow(2.718, -(1.25 * late + self.rng.gauss(-1.5, 0.9))))
            delay = self.rng.gauss(8 + max(0, self.second - 250) / 8, 14)
            event = prediction(
                f"f{self.n}",
                simulated,
                score,
                model=self.model,
                epoch=self.epoch,
                served_us=at_us,
                **{
                    "by-origin.delay_1h": delay,
                    "sky.wind_3h": self.rng.gauss(11, 4),
                    "by-tail.last_delay_24h": delay * 2,
                },
            )
            reading.handle(event, self.world)
            if self.rng.random() < 0.975:
                rows.append(
                    (
                        simulated + round((2 + 3 * self.rng.random()) * HOUR),
                        f"f{self.n}",
                        40 if late else -5,
                    )
                )
        self.due = sorted([*self.due, *rows])
        ready = [row for row in self.due if row[0] <= simulated]
        self.due = self.due[len(ready) :]
        if ready:
            data = pack([(name, at, delay) for at, name, delay in ready], self.raw)
            self.raw += len(ready)
            handlers.handle_log_message("arrivals", 0, data, self.world)

    def _facts(self, at_us: int) -> None:
        if self.second in {3, 200}:
            self.epoch = 1 if self.second == 3 else 2
            for view in ("by-origin", "sky"):
                reading.handle(
                    ev.ViewPublished(
                        view=view,
                        source="arrivals",
                        epoch=self.epoch,
                        cut={},
                        files=[ev.FileRef(uri="s3://b", sha256="", size_bytes=2_800_000)],
                        definition_digest="3f2a9c1b",
                        as_of_us=START + self.second * A_SECOND,
                        complete_since={},
                        file_count=36,
                        published_at_us=at_us,
                    ),
                    self.world,
                )
            reading.handle(
                ev.TrainingSetPublished(
                    model="late-arrival",
                    epoch=self.epoch,
                    files=[],
                    columns=[],
                    digest=str(self.epoch),
                    rows=251_727 + 6400 * self.epoch,
                    first_at_us=0,
                    last_at_us=START,
                    statistics_uri="",
                    definition_digest="",
                ),
                self.world,
            )
        if self.second in {20, 235}:
            self.model = "81ab02ff" * 8 if self.second == 20 else "c07d9e44" * 8
            metrics = {"auc": 0.781 if self.second == 20 else 0.786, "log_loss": 0.431}
            reading.handle(
                ev.ModelTrained(
                    model="late-arrival",
                    model_digest=self.model,
                    uri="",
                    version_ids={},
                    epoch=self.epoch,
                    training_set_digest="",
                    definition_digest="",
                    metrics=metrics,
                    trained_at_us=at_us,
                    seconds=38,
                ),
                self.world,
            )
            reading.handle(
                ev.ModelPromoted(
                    model="late-arrival",
                    model_digest=self.model,
                    uri="",
                    version_ids={},
                    definition_digest="",
                    metrics=metrics,
                    reason="AUC meets 0.75 and is not below the one before",
                    promoted_at_us=at_us,
                ),
                self.world,
            )
        if self.rng.random() < 0.04:
            reason = self.rng.choice(
                [
                    "delay_minutes: 'twelve' is no whole number",
                    "not JSON: unexpected end of data at byte 61",
                    "origin is null, and it is the key",
                    "departed_at: year 2913 is outside 1900..2200",
                ]
            )
            handlers.handle_dead_letter(
                DeadLetter(
                    service="ingest",
                    reason=reason,
                    topic="client.record-sent.arrivals.v1",
                    partition=self.rng.randint(0, 1),
                    offset=self.second * 640,
                    bytes=self.rng.randint(60, 190),
                    at_us=at_us,
                ),
                self.world,
            )
        for event in handlers.judge(self.world, at_us):
            reading.handle(event, self.world)


def main(port: int, seconds: int) -> None:
    world, clock = state(reference=3000, window=1000), WallClock()
    board = Board(world, FakeBeats(), clock)
    feeder, now = Feeder(world), clock.now_us()
    world.known.predictions_at_end = world.caught_up = True
    for second in range(seconds, 0, -1):
        feeder.play(now - second * SECOND_US)
    world.telemetry.redraw(now)
    server = PageServer(board, "127.0.0.1", port)
    print(
        f"http://127.0.0.1:{server.port}/  simulated {seconds * A_SECOND / DAY:.1f} days",
        flush=True,
    )
    while True:
        with board.lock:
            now = clock.now_us()
            feeder.play(now)
            board.announce(now // SECOND_US, world.telemetry.tick(now))
        time.sleep(1)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 300)
