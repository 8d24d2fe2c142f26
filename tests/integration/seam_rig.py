"""Log messages written straight into Kafka, speed and view as processes, and the comparison of what
they serve with the fold.
"""

from __future__ import annotations

import hashlib
import time
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq
from confluent_kafka import OFFSET_END, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from deploy.local.mesh import EmbeddedMesh
from examples.shop.pipeline import pipeline
from predict_svc.view.errors import ViewNotReadyError
from predict_svc.view.opening import open_reader
from predict_svc.view.reader import ViewReader
from schemas.events import FileRef, ViewPublished
from schemas.topics import base_prefix, partials_folded, records_accepted
from tests.unit.view.world import NOW_US, PARTITIONS, Log
from twinstream.algebra import keys
from twinstream.algebra.fold import fold
from twinstream.mesh.events import EventPublisher
from twinstream.mesh.object_store import ObjectStore

VIEWS = ("spending", "by-country")
BOUND_S = 120.0


class SeamRig:
    """One running mesh of speed and view over the log of `orders`."""

    def __init__(self, mesh: EmbeddedMesh) -> None:
        self.mesh = mesh
        self.log = Log(7)
        self.readers = {name: open_reader(mesh.settings, pipeline.view(name)) for name in VIEWS}
        self.store = ObjectStore(mesh.settings)
        self._events = EventPublisher(mesh.settings, "/tests")
        self._producer = Producer(mesh.settings.kafka_client(enable_idempotence=True))
        self.sent = [0] * PARTITIONS

    def send(self) -> None:
        """Bring the log to Kafka as far as it is written."""
        for partition, messages in enumerate(self.log.messages):
            for message in messages[self.sent[partition] :]:
                self._producer.produce(
                    records_accepted("orders"), message.value, partition=partition
                )
            self.sent[partition] = len(messages)
        assert self._producer.flush(30) == 0

    def publish(self, epoch: int, view: str, *, corrupt: bool = False) -> ViewPublished:
        """The batch layer's part: the fold up to the cut on S3, and the event."""
        cut = self.log.cut(epoch)
        assert cut is not None
        states = fold(pipeline.view(view), self.log.counted({p: c.offset for p, c in cut.items()}))
        event = ViewPublished(
            view=view,
            source="orders",
            epoch=epoch,
            cut=cut,
            cuts={"orders": cut},
            files=[self._file(view, epoch, p, states, corrupt) for p in range(PARTITIONS)],
            definition_digest=pipeline.digest,
            as_of_us=NOW_US,
            complete_since={},
        )
        self._events.publish(event, key=view)
        return event

    def repair(self, event: ViewPublished) -> None:
        """Put the right bytes where corrupt ones stand."""
        for ref in event.files:
            self.store.put_uri(ref.uri, self.store.get_uri(ref.uri)[:-1])

    def expire_partials(self) -> None:
        """What the partials topics hold is gone, as after their retention."""
        admin = AdminClient(self.mesh.settings.kafka_client())
        places = [
            TopicPartition(partials_folded(view), p, OFFSET_END)
            for view in VIEWS
            for p in range(PARTITIONS)
        ]
        for done in admin.delete_records(places).values():
            done.result(30)

    def check(self) -> int:
        """Wait until the views stand at the end of the log, then compare every key;
        return how many there were.
        """
        compared = 0
        for name, reader in self.readers.items():
            self.wait(lambda reader=reader: self._at_end(reader), f"{name} at the end of the log")
            states = fold(
                pipeline.view(name), self.log.counted({p: n - 1 for p, n in enumerate(self.sent)})
            )
            for partition in range(PARTITIONS):
                served = reader.snapshot(partition).states
                wanted = {
                    key: blob
                    for key, blob in states.items()
                    if keys.partition_of(key, PARTITIONS) == partition
                }
                assert dict(zip(served.keys, served.blobs(), strict=True)) == wanted
                compared += len(wanted)
        return compared

    def wait(self, reached: object, what: str) -> None:
        give_up = time.monotonic() + BOUND_S
        while not reached():  # type: ignore[operator]
            assert time.monotonic() < give_up, (
                f"{what} not reached in {BOUND_S} s: {self.mesh.log('speed')[-2000:]} "
                f"{self.mesh.log('view')[-2000:]}"
            )
            time.sleep(0.01)

    def _at_end(self, reader: ViewReader) -> bool:
        try:
            positions = reader.positions()
        except ViewNotReadyError:
            return False
        return all(
            at.log.get(p, -1) == n - 1 for at in positions.values() for p, n in enumerate(self.sent)
        )

    def _file(
        self, view: str, epoch: int, partition: int, states: dict[bytes, bytes], corrupt: bool
    ) -> FileRef:
        mine = sorted(
            (k, b) for k, b in states.items() if keys.partition_of(k, PARTITIONS) == partition
        )
        out = BytesIO()
        pq.write_table(
            pa.table(
                {
                    "key": pa.array([k for k, _ in mine], pa.binary()),
                    "blob": pa.array([b for _, b in mine], pa.binary()),
                }
            ),
            out,
        )
        data = out.getvalue()
        uri = f"s3://{self.mesh.settings.bucket}/{base_prefix('shop', view, epoch)}/{partition}.parquet"
        self.store.put_uri(uri, data + b"!" if corrupt else data)
        return FileRef(
            uri=uri,
            sha256=hashlib.sha256(data).hexdigest(),
            size_bytes=len(data),
            partition=partition,
        )
