"""The whole chain: raw topic (filled beforehand) -> ingest -> log -> speed -> partials -> view,
until all is readable.

`python -m benchmarks.chain [records] [accounts]`: records a second;
CPU seconds of each process, and the share of a core that it was busy:
a process near 1 is the limit, else the machine's cores are.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from benchmarks.record import record
from deploy.local.mesh import EmbeddedMesh
from predict_svc.view.opening import open_reader
from predict_svc.view.reader import ViewReader
from twinstream.mesh.settings import MeshSettings

HERE = Path(__file__).parent
SERVICES = ("ingest", "speed", "view")
OPENED = "lane_opened"
LOOK_S, POLL_S = 0.002, 0.02
BOUND_S = 300


def main(n: int = 2_000_000, accounts: int = 10_000) -> None:
    """Measures once and records the result."""
    with tempfile.TemporaryDirectory(prefix="twinstream-bench-") as folder:
        mesh = EmbeddedMesh(folder, HERE / "pipeline.py", SERVICES, engines=("kafka", "s3"))
        with mesh:
            for name in SERVICES:
                mesh.stop_one(name)
            subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "benchmarks.payments",
                    mesh.settings.kafka,
                    str(n),
                    str(accounts),
                ],
                check=True,
            )
            figures = measure(mesh, n)
    record("chain", {"records": n, "accounts": accounts, **figures})


def measure(mesh: EmbeddedMesh, n: int) -> dict[str, object]:
    """Starts the three services on a filled topic; figures from the start of ingest until all n
    records are readable.
    """
    from twinstream.mesh.pipeline_file import load

    view = load(mesh.settings.pipeline).view("by-account")
    for name in ("view", "speed"):
        mesh.start_one(name)
    started = _start_ingest(mesh)
    before = _cpu(mesh)
    seconds = _until_readable(mesh.settings, view, n, started)
    cpu = {name: round(used - before[name], 2) for name, used in _cpu(mesh).items()}
    return {
        "records_per_s": round(n / seconds),
        "seconds": round(seconds, 2),
        "cpu_seconds": cpu,
        "busy": {name: round(used / seconds, 2) for name, used in cpu.items()},
    }


def _start_ingest(mesh: EmbeddedMesh) -> float:
    """The moment at which ingest knows where to begin, which is before it reads the first
    record.
    """
    opened = mesh.log("ingest").count(OPENED)
    starting = threading.Thread(target=mesh.start_one, args=("ingest",), daemon=True)
    starting.start()
    give_up = time.perf_counter() + BOUND_S
    while mesh.log("ingest").count(OPENED) == opened:
        if time.perf_counter() > give_up:
            raise TimeoutError(f"ingest has not opened a partition after {BOUND_S} s")
        time.sleep(LOOK_S)
    return time.perf_counter()


def _until_readable(settings: MeshSettings, view: object, n: int, started: float) -> float:
    """Seconds until the positions of all partitions together cover n raw records."""
    reader = open_reader(settings, view)
    while True:
        seen = _contained(reader)
        if seen >= n:
            return time.perf_counter() - started
        if time.perf_counter() - started > BOUND_S:
            raise TimeoutError(f"{seen} of {n} records readable after {BOUND_S} s")
        time.sleep(POLL_S)


def _contained(reader: ViewReader) -> int:
    """Raw records that every partition of the view has behind it."""
    highs: dict[int, int] = {}
    for position in reader.positions().values():
        for partition, high in position.raw.items():
            highs[partition] = min(high, highs.get(partition, high))
    return sum(high + 1 for high in highs.values())


def _cpu(mesh: EmbeddedMesh) -> dict[str, float]:
    found = {}
    for name in (*SERVICES, "kafka"):
        pid = mesh.child(name).pid
        if pid is not None:
            times = psutil.Process(pid).cpu_times()
            found[name] = times.user + times.system
    return found


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
