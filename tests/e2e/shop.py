"""The shop example on a whole mesh, and what its users and clients do:
files, records, seals, questions.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from deploy.local import services
from deploy.local.mesh import EmbeddedMesh
from examples.shop.data import HOUR_US, month
from examples.shop.pipeline import pipeline
from schemas.events import (
    DataArrived,
    FileAccepted,
    FileRef,
    ModelPromoted,
    PredictionServed,
    SealRequested,
)
from schemas.topics import topic_of
from twinstream.cli.sending import Positions, send_lines
from twinstream.mesh.events import EventPublisher, EventReader
from twinstream.mesh.object_store import ObjectStore
from twinstream.protocol.predictions import predictions_of, row_of

PIPELINE = Path(__file__).parents[2] / "examples" / "shop" / "pipeline.py"
MODEL = "will-buy"
ENV = {
    "TWINSTREAM_VIEW_MAP_GIB": "1",
    "TWINSTREAM_BATCH_DRIVER_MEMORY": "900m",
    "TWINSTREAM_BATCH_SHUFFLE_PARTITIONS": "2",
    "TWINSTREAM_TRAIN_TUNER": "in-process",
    "TWINSTREAM_TRAIN_CANDIDATES": "1",
    "TWINSTREAM_TRAIN_MAX_EPOCHS": "4",
}
Record = dict[str, Any]


class Answer(msgspec.Struct, frozen=True):
    """Of an HTTP request; status 0: nobody answered."""

    status: int
    body: Record


class Shop:
    """One running mesh, a month of data: all but the last day as files, the rest live."""

    def __init__(self, folder: Path) -> None:
        self.pipeline = pipeline
        self.mesh = EmbeddedMesh(folder, PIPELINE, services.ALL, env=ENV).start()
        self.visits, self.orders = month(3, time.time_ns() // 1000, visits=6000, shoppers=300)
        self._cut = time.time_ns() // 1000 - 24 * HOUR_US

    def begin(self) -> Shop:
        """Ready, its files and live records in, a first epoch sealed, a model promoted."""
        self.mesh.wait_ready(400.0)
        self.publish_files()
        path = f"/v1/views/spending?key=shopper-0&min_position={query(self.send_live())}"
        self.wait(lambda: self.ask("predict", path).status == 200, "live records readable")
        self.seal()
        self.wait(lambda: self.release()["release"], "a model promoted", 400)
        return self

    def publish_files(self) -> None:
        """What is older than a day, as a file of each source."""
        for name, records, field in (
            ("visits", self.visits, "visited_at"),
            ("orders", self.orders, "ordered_at"),
        ):
            self.publish_file(
                name, "month.jsonl", [record for record in records if record[field] < self._cut]
            )
        self.wait(
            lambda: self.count(FileAccepted) == len(pipeline.sources), "both files accepted", 60
        )

    def publish_file(self, source: str, name: str, records: list[Record]) -> str:
        """A file of JSON lines on S3, announced; returns its URI."""
        uri = f"s3://{self.mesh.settings.raw_bucket}/{source}/{name}"
        version = ObjectStore(self.mesh.settings).put_uri(
            uri, msgspec.json.Encoder().encode_lines(records)
        )
        event = DataArrived(
            source=source,
            files=[FileRef(uri=uri, sha256="", version_id=version or "")],
            format="jsonl",
        )
        EventPublisher(self.mesh.settings, "/tests").publish(event, source)
        return uri

    def send_live(self) -> Positions:
        """The last day's records; returns the position to ask for."""
        reached: Positions = {}
        for source, records, field in (
            ("visits", self.visits, "visited_at"),
            ("orders", self.orders, "ordered_at"),
        ):
            reached |= self.send(
                source, [record for record in records if record[field] >= self._cut]
            )
        return reached

    def send(self, source: str, records: list[Record]) -> Positions:
        return send_lines(
            self.mesh.settings,
            pipeline.source(source),
            [msgspec.json.encode(record) for record in records],
        )[0]

    def seal(self) -> None:
        EventPublisher(self.mesh.settings, "/tests").publish(SealRequested(reason="test"))

    def predict(self, extra_rows: int = 0, **more: Any) -> Answer:
        """A question about a visit that is being made now, and about some of other visitors."""
        visits = [
            self.visits[-1 - n]
            | {"visit_id": f"asked-{time.time_ns()}", "visited_at": time.time_ns() // 1000}
            for n in range(1 + extra_rows)
        ]
        return self.ask("predict", f"/v1/predict/{MODEL}", {"rows": visits, **more})

    def answered(self, bound_s: float, **more: Any) -> Answer:
        """The first answer with status 200 to a question that is asked again and again,
        else the last.
        """
        give_up = time.monotonic() + bound_s
        while (answer := self.predict(**more)).status != 200 and time.monotonic() < give_up:
            time.sleep(0.1)
        return answer

    def ask(self, service: str, path: str, body: object = None) -> Answer:
        """GET, or POST when there is a body."""
        data = None if body is None else msgspec.json.encode(body)
        try:
            with urllib.request.urlopen(
                urllib.request.Request(self.mesh.addresses[service] + path, data), timeout=30
            ) as answer:
                return Answer(answer.status, json.loads(answer.read()))
        except urllib.error.HTTPError as error:
            return Answer(error.code, json.loads(error.read()))
        except OSError as error:
            return Answer(0, {"error": str(error)})

    def release(self) -> Record:
        """What answers now."""
        found = self.ask("predict", "/v1/releases")
        return (
            dict(found.body["models"][MODEL]) if found.status else {"release": None, "epoch": None}
        )

    def promoted(self) -> set[str]:
        """Digests of all models that were promoted."""
        return {event.model_digest for event in self.events(ModelPromoted)}

    def count(self, kind: type) -> int:
        """Events of a kind."""
        return len(self.events(kind))

    def events(self, kind: type) -> list[Any]:
        """All events of a kind, in the order of their topic; what is none is passed over."""
        with EventReader(self.mesh.settings, [topic_of(kind)], refused=lambda *_: None) as reader:
            return [event for event, _ in reader.read_to_end() if isinstance(event, kind)]

    def remembered(self) -> set[str]:
        """The id of each answer that an event remembers."""
        served = self.events(PredictionServed)
        rows = [row for event in served for row in predictions_of(event)]
        return {row_of(row.id)[0] for row in rows}

    def wait(self, reached: Callable[[], object], what: str, bound_s: float = 240.0) -> None:
        give_up = time.monotonic() + bound_s
        while not reached():
            assert time.monotonic() < give_up, (
                f"not within {bound_s} s: {what}; now {self.release()}; batch: "
                f"{self.mesh.log('batch')[-1500:]}"
            )
            time.sleep(0.1)


def query(position: Positions) -> str:
    """A position as the value of a URL's `min_position`."""
    return quote(json.dumps(position))


class Client(threading.Thread):
    """Asks for predictions without a pause; keeps each answer."""

    def __init__(self, shop: Shop) -> None:
        super().__init__(name="client", daemon=True)
        self._shop, self._ended = shop, threading.Event()
        self.answers: list[Answer] = []

    def run(self) -> None:
        while not self._ended.wait(0.02):
            self.answers.append(self._shop.predict())

    def end(self) -> list[Answer]:
        self._ended.set()
        self.join(40)
        return self.answers
