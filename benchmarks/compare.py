"""Our whole chain and two peers that do one keyed sum each, over the same records of the same topic
on the same broker, one after the other.

`python -m benchmarks.compare [records] [accounts] [records for Quix Streams] [records for Faust]`:
peers read so many from the topic's beginning, timed from their first record until the last one's
state is flushed and committed; ours from the start of ingest, its start included.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from bisect import bisect_left
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks import chain
from benchmarks.peers import faust_sum
from benchmarks.peers.environment import NotInstalledError, python_of
from benchmarks.record import record
from deploy.local.mesh import EmbeddedMesh
from schemas.topics import record_sent
from twinstream.mesh.settings import MeshSettings

HERE = Path(__file__).parent
TOPIC = record_sent("payments")
GUARANTEES = ("at-least-once", "exactly-once")
LINGERS_S = {"faust_default": 0.0, "faust_linger_20_ms": 0.02}
BOUND_S = 240
NOTE = (
    "All read the same topic of two partitions from its beginning, one after the other. "
    "`ours` is the whole chain (three processes on the cores that the broker uses too: "
    "decode, check, "
    "dedupe, pack, fold nine features, merge, readable), from the start of ingest. "
    "A peer does one keyed sum, from its first record until its state is flushed and "
    "committed; of two "
    "processes, while both are at work. Quix Streams with its defaults, "
    "Faust in one process with memory as its store. `ours is times`: "
    "ours' records a second by theirs."
)


def main(
    n: int = 2_000_000,
    accounts: int = 10_000,
    quix_records: int = 400_000,
    faust_records: int = 60_000,
) -> None:
    """Measures once and records the result."""
    with tempfile.TemporaryDirectory(prefix="twinstream-bench-") as folder:
        mesh = EmbeddedMesh(folder, HERE / "pipeline.py", chain.SERVICES, engines=("kafka", "s3"))
        with mesh:
            _stop(mesh)
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
            ours = chain.measure(mesh, n)
            _stop(mesh)
            peers = quix(mesh.settings, folder, quix_records)
            peers |= {
                name: faust(mesh.settings, folder, faust_records, linger_s)
                for name, linger_s in LINGERS_S.items()
            }
    record(
        "peers",
        {
            "records": n,
            "accounts": accounts,
            "ours": ours,
            **peers,
            "ours_is_times": ratios(ours, peers),
        },
        NOTE,
    )


def _stop(mesh: EmbeddedMesh) -> None:
    for name in chain.SERVICES:
        mesh.stop_one(name)


def quix(mesh: MeshSettings, folder: str, records: int) -> dict[str, Any]:
    """Quix Streams in both modes, as one process and as one for each partition;
    nothing but a word when it cannot be installed.
    """
    try:
        command = [
            str(python_of(HERE / "peers" / "quix.txt")),
            str(HERE / "peers" / "quix_sum.py"),
            mesh.kafka,
            TOPIC,
        ]
    except NotInstalledError as error:
        print(f"Quix Streams is left out: {error}", file=sys.stderr)
        return {"quix": {"left_out": "could not be installed"}}
    found = {}
    for guarantee in GUARANTEES:
        for processes in (1, mesh.partitions):
            name = f"quix_{guarantee.replace('-', '_')}_{processes}_process{'es' if processes > 1 else ''}"
            workers = [
                [*command, str(records), guarantee, f"{folder}/{name}-{i}", name]
                for i in range(processes)
            ]
            found[name] = {
                "records": processes * records,
                "records_per_s": round(rate(_run(workers))),
            }
    return found


def rate(told: list[dict[str, Any]]) -> float:
    """Records a second; of several processes while all of them were at work, each told until its
    last 10,000th record.
    """
    if len(told) == 1:
        return told[0]["records"] / (told[0]["end"] - told[0]["times"][0])
    start, stop = max(t["times"][0] for t in told), min(t["times"][-1] for t in told)
    steps = sum(bisect_left(t["times"], stop) - bisect_left(t["times"], start) for t in told)
    return steps * told[0]["every"] / (stop - start)


def faust(mesh: MeshSettings, folder: str, records: int, linger_s: float) -> dict[str, Any]:
    """Faust's own topics are made beforehand: those that it makes have one partition,
    and its agent stops at them.
    """
    admin = AdminClient(mesh.kafka_client())
    made = admin.create_topics(
        [
            NewTopic(
                faust_sum.changelog_of(linger_s),
                mesh.partitions,
                1,
                config={"cleanup.policy": "compact"},
            ),
            NewTopic(faust_sum.leader_of(linger_s), 1, 1),
        ]
    )
    for topic in made.values():
        topic.result(30)
    arguments = [
        mesh.kafka,
        TOPIC,
        str(records),
        str(mesh.partitions),
        str(linger_s),
        f"{folder}/faust",
    ]
    [told] = _run([[sys.executable, "-m", "benchmarks.peers.faust_sum", *arguments]])
    return {"records": records, "records_per_s": round(records / told["seconds"])}


def _run(commands: list[list[str]]) -> list[dict[str, Any]]:
    """What the last line of each process says; raises when one failed or is not done in time."""
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    try:
        said = [process.communicate(timeout=BOUND_S)[0] for process in running]
    finally:
        for process in running:
            process.kill()
    for process in running:
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, process.args)
    return [json.loads(text.strip().splitlines()[-1]) for text in said]


def ratios(ours: dict[str, Any], peers: dict[str, dict[str, Any]]) -> dict[str, float]:
    """How many times as many records a second ours takes, although it does more."""
    return {
        name: round(ours["records_per_s"] / peer["records_per_s"], 1)
        for name, peer in peers.items()
        if "records_per_s" in peer
    }


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
