"""A plain Faust table that counts events by key: at-least-once, as Faust does by default.
`python -m benchmarks.peers.faust_counter BROKER FOLDER`.

Its counts are what its changelog topic holds: that is what a worker which takes over begins with.
"""

from __future__ import annotations

import sys
from pathlib import Path

import faust

APP = "faust-counter"
EVENTS = "faust-counter-events"
CHANGELOG = f"{APP}-counts-changelog"
PARTITIONS = 2


def make(broker: str, folder: str) -> faust.App:
    """The app; two settings differ from Faust's defaults, both in its favour:
    a restart within seconds rather than a minute, no web server.
    """
    app = faust.App(
        APP,
        broker=f"kafka://{broker}",
        datadir=Path(folder),
        store="memory://",
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=PARTITIONS,
        broker_session_timeout=6.0,
        broker_heartbeat_interval=2.0,
    )
    events = app.topic(EVENTS, key_type=str, value_type=bytes, value_serializer="raw")
    counts = app.Table("counts", default=int, partitions=PARTITIONS)

    @app.agent(events)
    async def count(stream: faust.Stream[bytes]) -> None:
        async for key, _ in stream.items():  # noqa: PERF102  (a stream has no keys())
            counts[key] += 1

    return app


if __name__ == "__main__":
    from faust.worker import Worker

    Worker(make(*sys.argv[1:]), loglevel="WARN").execute_from_commandline()
