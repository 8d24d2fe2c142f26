"""A keyed sum by Quix Streams, with its defaults: RocksDB state, a changelog topic,
a commit every 5 seconds.

`python quix_sum.py BROKER TOPIC RECORDS GUARANTEE FOLDER GROUP` prints one line of JSON:
when the first record came, then each 10,000th, then the end, after the last one's state was
committed. It runs in the peer's own virtual environment, so it imports nothing of ours.
"""

from __future__ import annotations

import json
import sys
import time

from quixstreams import Application, State

EVERY = 10_000


class Seen:
    """How many records came, and when each 10,000th."""

    def __init__(self) -> None:
        self.count = 0
        self.times: list[float] = []

    def add(self, payment: dict[str, object], state: State) -> None:
        """`total[key] += cents`."""
        if self.count % EVERY == 0:
            self.times.append(time.time())
        self.count += 1
        state.set("total", state.get("total", 0.0) + payment["cents"])


def main(broker: str, topic: str, records: int, guarantee: str, folder: str, group: str) -> None:
    """With a count, `run` returns after the commit of so many records."""
    seen = Seen()
    app = Application(
        broker_address=broker,
        consumer_group=group,
        auto_offset_reset="earliest",
        processing_guarantee=guarantee,
        state_dir=folder,
        loglevel="WARNING",
    )
    app.dataframe(app.topic(topic, value_deserializer="json", key_deserializer="str")).update(
        seen.add, stateful=True
    )
    app.run(count=records, collect=False)
    print(json.dumps({"records": records, "every": EVERY, "times": seen.times, "end": time.time()}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
