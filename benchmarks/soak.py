"""The whole chain at full load for minutes: is the memory of each process flat, and does what was
promised to be deleted go?

`python -m benchmarks.soak [minutes] [seconds between epochs]`: payments as fast as the chain takes
them, epochs on a schedule, predictions beside. Samples go to `results/soak_samples.json`,
a plot to `docs/images/soak.svg`; one slope is that of minute 2 (of a shorter run:
half) to the end, the other that of the last half: what levels out shows there.
`--again` makes the table anew from the samples.
"""

from __future__ import annotations

import http.client
import json
import random
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from benchmarks import memory, plot, untrained
from benchmarks.published import readable
from benchmarks.record import RESULTS, record
from deploy.local.mesh import EmbeddedMesh
from predict_svc.view.opening import open_reader
from predict_svc.view.reader import ViewReader
from schemas.topics import record_sent
from twinstream.errors import NotRunningError
from twinstream.mesh.pipeline_file import load
from twinstream.mesh.settings import MeshSettings

HERE = Path(__file__).parent
IMAGE = HERE.parent / "docs" / "images" / "soak.svg"
SERVICES = ("ingest", "speed", "view", "batch", "predict")
ACCOUNTS, AHEAD, AT_ONCE, SAMPLE_S, SETTLED_MIN, ASK_S = 10_000, 100_000, 2_000, 5.0, 2.0, 0.02
Sample = dict[str, Any]


def main(minutes: float = 20.0, seal_every_s: float = 60.0) -> None:
    """Soaks once, and records the result."""
    with (
        tempfile.TemporaryDirectory(prefix="twinstream-soak-") as folder,
        EmbeddedMesh(
            folder,
            HERE / "soak_pipeline.py",
            SERVICES,
            env={"TWINSTREAM_SEAL_EVERY_S": str(seal_every_s)},
        ) as mesh,
    ):
        pipeline = load(mesh.settings.pipeline)
        untrained.promote(mesh.settings, pipeline, pipeline.models[0])
        reader = open_reader(mesh.settings, pipeline.view("by-account"))
        load_, asker = Load(mesh.settings, reader), Asker(mesh.settings)
        samples = _sampled(mesh, reader, minutes, (load_, asker))
        figures = {
            "minutes": minutes,
            "seal_every_s": seal_every_s,
            "records": samples[-1]["records"],
            "records_per_s": round(samples[-1]["records"] / samples[-1]["minute"] / 60),
            "epochs": samples[-1]["epoch"],
            "predictions": asker.answered,
            "predictions_failed": asker.failed,
            "restarts": sum(c.restarts for c in mesh.supervisor.children.values()),
        }
    settled = min(SETTLED_MIN, minutes / 2)
    record(
        "soak",
        {**figures, "processes": _table(samples, settled), "disk_mb": _disk(samples, settled)},
    )
    (RESULTS / "soak_samples.json").write_text(json.dumps(samples) + "\n")
    IMAGE.parent.mkdir(parents=True, exist_ok=True)
    plot.lines(
        IMAGE,
        "Memory that is a process's own, while records arrive as fast as the chain takes them",
        "minutes",
        "MB",
        _series(samples, "anonymous"),
    )


def _sampled(
    mesh: EmbeddedMesh, reader: ViewReader, minutes: float, works: tuple[Load, Asker]
) -> list[Sample]:
    """Samples from the start of the load to its end."""
    samples: list[Sample] = []
    works[1].wait_answered()
    for work in works:
        work.start()
    started = time.monotonic()
    while not samples or samples[-1]["minute"] < minutes:
        for work in works:
            work.raise_failure()
        samples.append(_sample(mesh, reader, started))
        time.sleep(max(0.0, started + len(samples) * SAMPLE_S - time.monotonic()))
    for work in works:
        work.stop()
    return samples


def _sample(mesh: EmbeddedMesh, reader: ViewReader, started: float) -> Sample:
    folders = ("kafka", "s3", "view")
    return {
        "minute": round((time.monotonic() - started) / 60, 3),
        "records": readable(reader),
        "epoch": max(reader.bases(), default=0),
        "memory_mb": {name: _memory(mesh, name) for name in mesh.supervisor.children},
        "disk_mb": {
            name: round(memory.folder_mb(Path(mesh.settings.data) / name), 1) for name in folders
        },
    }


def _memory(mesh: EmbeddedMesh, name: str) -> dict[str, float] | None:
    """None between two runs of a process."""
    try:
        return {
            kind: round(megabytes, 1) for kind, megabytes in memory.of_tree(mesh.pid(name)).items()
        }
    except NotRunningError:
        return None


def _series(samples: list[Sample], kind: str) -> dict[str, list[tuple[float, float]]]:
    names = samples[0]["memory_mb"]
    return {
        name: [(s["minute"], s["memory_mb"][name][kind]) for s in samples if s["memory_mb"][name]]
        for name in names
    }


def _table(samples: list[Sample], settled: float) -> dict[str, dict[str, float]]:
    own, files = _series(samples, "anonymous"), _series(samples, "files")
    return {
        name: {
            f"at_minute_{settled:g}_mb": _at(series, settled),
            "at_the_end_mb": series[-1][1],
            "mb_per_minute": _slope(series, settled),
            "in_the_last_half": _slope(series, series[-1][0] / 2),
            "mapped_files_at_the_end_mb": files[name][-1][1],
        }
        for name, series in own.items()
    }


def _slope(series: list[tuple[float, float]], from_minute: float) -> float:
    return round(memory.slope_per_minute([point for point in series if point[0] >= from_minute]), 2)


def _disk(samples: list[Sample], settled: float) -> dict[str, dict[str, float]]:
    folders = {
        name: [(s["minute"], s["disk_mb"][name]) for s in samples] for name in samples[0]["disk_mb"]
    }
    return {
        name: {f"at_minute_{settled:g}": _at(series, settled), "at_the_end": series[-1][1]}
        for name, series in folders.items()
    }


def _at(series: list[tuple[float, float]], minute: float) -> float:
    return next(value for at, value in series if at >= minute)


class Work:
    """Runs `step` in a thread until stopped; a failure ends the soak."""

    def __init__(self) -> None:
        self._stop, self._failure = threading.Event(), list[BaseException]()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.start, self.join = self._thread.start, self._thread.join

    def stop(self) -> None:
        self._stop.set()
        self.join()

    def raise_failure(self) -> None:
        if self._failure:
            raise self._failure[0]

    def step(self) -> None:
        raise NotImplementedError

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self.step()
        except BaseException as error:  # noqa: BLE001  raised again where it is looked for
            self._failure.append(error)


class Load(Work):
    """Payments, never more than AHEAD beyond what is readable."""

    def __init__(self, settings: MeshSettings, reader: ViewReader) -> None:
        super().__init__()
        self._producer = Producer(
            {
                "bootstrap.servers": settings.kafka,
                "linger.ms": 20,
                "batch.num.messages": 10_000,
                "queue.buffering.max.messages": 500_000,
                "compression.type": "lz4",
                "enable.idempotence": True,
            }
        )
        self._reader, self._sent = reader, 0
        dice = random.Random(7)
        self._payments = [self._payment(dice) for _ in range(100_000)]

    def step(self) -> None:
        if self._sent - readable(self._reader) > AHEAD:
            self._producer.poll(0.01)
            return
        now = time.time_ns() // 1000
        for _ in range(AT_ONCE):
            key, rest = self._payments[self._sent % len(self._payments)]
            self._producer.produce(
                record_sent("payments"),
                b'{"payment_id": "p-%012d", "paid_at": %d, %b' % (self._sent, now, rest),
                key,
            )
            self._sent += 1
        self._producer.poll(0)

    @staticmethod
    def _payment(dice: random.Random) -> tuple[bytes, bytes]:
        account, cents = f"account-{dice.randrange(ACCOUNTS):07d}", dice.randrange(1, 10**6)
        rest = (
            f'"account": "{account}", "cents": {cents // 100}.{cents % 100:02d}, "merchant": '
            f'"merchant-{dice.randrange(900):04d}"}}'
        )
        return account.encode(), rest.encode()


class Asker(Work):
    """One question after the other, each of a fresh account; counts answers, and what was not
    answered with 200.
    """

    def __init__(self, settings: MeshSettings) -> None:
        super().__init__()
        self._connection = http.client.HTTPConnection(
            settings.http_host, settings.predict_port, timeout=20
        )
        self.answered = self.failed = 0

    def wait_answered(self, bound_s: float = 60.0) -> None:
        """Until the promoted model answers."""
        give_up = time.monotonic() + bound_s
        while not self.answered:
            assert time.monotonic() < give_up, f"no model answered within {bound_s} s"
            self.step()
        self.failed = 0

    def step(self) -> None:
        row = {"account": f"account-{(self.answered * 7919) % ACCOUNTS:07d}"}
        self._connection.request("POST", "/v1/predict/refusal", json.dumps({"rows": [row]}))
        answer = self._connection.getresponse()
        answer.read()
        if answer.status == 200:
            self.answered += 1
        else:
            self.failed += 1
        self._stop.wait(ASK_S)


def tell_again() -> None:
    """Makes the table of processes anew from the samples of the last soak."""
    path = RESULTS / "soak.json"
    result, samples = (
        json.loads(path.read_text()),
        json.loads((RESULTS / "soak_samples.json").read_text()),
    )
    result["figures"]["processes"] = _table(
        samples, min(SETTLED_MIN, result["figures"]["minutes"] / 2)
    )
    path.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:] == ["--again"]:
        tell_again()
    else:
        main(*map(float, sys.argv[1:]))
