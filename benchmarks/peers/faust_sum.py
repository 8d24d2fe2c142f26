"""A keyed sum in a plain Faust table: at-least-once, as Faust does by default.

`python -m benchmarks.peers.faust_sum BROKER TOPIC RECORDS PARTITIONS LINGER_S FOLDER` prints one
line of JSON. A linger of 0 is Faust's default; with some, its changelog is sent in fewer requests.
Two more settings are in its favour: no web server, and msgspec for its JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import faust
import msgspec

TOTALS = "totals"


def app_of(linger_s: float) -> str:
    """The app's id, which is its consumer group as well."""
    return f"faust-sum-{round(linger_s * 1000)}-ms"


def changelog_of(linger_s: float) -> str:
    return f"{app_of(linger_s)}-{TOTALS}-changelog"


def leader_of(linger_s: float) -> str:
    return f"{app_of(linger_s)}-__assignor-__leader"


def make(
    broker: str, topic: str, records: int, partitions: int, linger_s: float, folder: str
) -> faust.App:
    """The app; it ends its process after so many records."""
    app = faust.App(
        app_of(linger_s),
        broker=f"kafka://{broker}",
        datadir=Path(folder),
        store="memory://",
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=partitions,
        consumer_auto_offset_reset="earliest",
        producer_linger=linger_s,
    )
    payments = app.topic(
        topic, key_type=str, key_serializer="raw", value_type=bytes, value_serializer="raw"
    )
    totals = app.Table(TOTALS, default=float, partitions=partitions)

    @app.agent(payments)
    async def add(stream: faust.Stream[bytes]) -> None:
        started, seen = 0.0, 0
        async for key, value in stream.items():
            started = started or time.perf_counter()
            totals[key] += msgspec.json.decode(value)["cents"]
            seen += 1
            if seen == records:
                await app.producer.flush()
                await app.commit(app.consumer.assignment())
                say(records, time.perf_counter() - started)

    return app


def say(records: int, seconds: float) -> None:
    """Tell and end: Faust takes `print` for its log, and a worker that is asked to stop can take
    long to do so.
    """
    os.write(1, json.dumps({"records": records, "seconds": seconds}).encode() + b"\n")
    os._exit(0)


if __name__ == "__main__":
    from faust.worker import Worker

    kafka, from_topic, count, parts, linger, where = sys.argv[1:]
    Worker(
        make(kafka, from_topic, int(count), int(parts), float(linger), where), loglevel="WARN"
    ).execute_from_commandline()
