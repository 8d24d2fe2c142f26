"""A log, its partials topic and one serving view, without processes:
every fault is a method, every comparison is with the fold.
"""

from __future__ import annotations

import hashlib
import random
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from examples.shop.pipeline import pipeline
from predict_svc.view import bases
from predict_svc.view.layout import Base
from predict_svc.view.opening import folder_of
from predict_svc.view.ports import BaseLoading
from predict_svc.view.reader import ViewReader
from predict_svc.view.settings import ViewSettings
from predict_svc.view.store import Store
from preprocess_svc.speed.chain import BEGINNING, Link, advance, resume_at
from preprocess_svc.speed.folder import Folder
from schemas import packs
from schemas.events import Cut, FileRef, ViewPosition, ViewPublished
from schemas.partials import decode_header
from tests.unit.view.engines import ENGINES
from twinstream.algebra import kernel, keys
from twinstream.algebra.fold import fold
from twinstream.algebra.plan import ViewPlan
from twinstream.mesh.settings import MeshSettings

PARTITIONS = 2
NOW_US = 1_700_000_000_000_000
KNOBS = ViewSettings(map_gib=1, spare_bytes=0)


class Pack(msgspec.Struct):
    """One log message as the tests know it: the records of a pack with their raw offsets,
    or the epoch of a barrier.
    """

    value: bytes
    rows: list[tuple[int, dict[str, object]]] = []
    barrier: int = 0


class Log:
    """The log of source `orders`: one list of messages a partition."""

    def __init__(self, seed: int) -> None:
        self.source = pipeline.source("orders")
        self.messages: list[list[Pack]] = [[] for _ in range(PARTITIONS)]
        self._raw = [0] * PARTITIONS
        self._random = random.Random(seed)

    def pack(self, partition: int, rows: int, again: int = 0) -> None:
        """Append `rows` new records; the `again` raw offsets before them are written a second time,
        with other contents.
        """
        first = max(0, self._raw[partition] - again)
        raws = list(range(first, self._raw[partition] + rows))
        self._raw[partition] += rows
        self.append(
            partition, [(raw, self._record()) for raw in raws], first, first + len(raws) - 1
        )

    def append(
        self, partition: int, rows: list[tuple[int, dict[str, object]]], first: int, last: int
    ) -> None:
        columns = {packs.RAW: [raw for raw, _ in rows], packs.KNOWN: [NOW_US] * len(rows)}
        columns |= {name: [record[name] for _, record in rows] for name in self.source.names}
        batch = (
            pa.RecordBatch.from_pydict(columns, schema=self.source.pack_schema) if rows else None
        )
        header = packs.PackHeader(
            kind=packs.PACK,
            epoch=0,
            rows=len(rows),
            raw_first=first,
            raw_last=last,
            raw_high=last,
            written_us=NOW_US,
        )
        self.messages[partition].append(Pack(packs.encode_pack(header, batch), rows))

    def barrier(self, partition: int, epoch: int) -> None:
        last = self._raw[partition] - 1
        header = packs.PackHeader(
            kind=packs.BARRIER,
            epoch=epoch,
            rows=0,
            raw_first=last + 1,
            raw_last=last,
            raw_high=last,
            written_us=NOW_US,
        )
        self.messages[partition].append(Pack(packs.encode_pack(header, None), [], epoch))

    def cut(self, epoch: int) -> dict[int, Cut] | None:
        """Where the epoch ends; None while a partition has no barrier of it."""
        found = {}
        for partition, messages in enumerate(self.messages):
            offset = next((i for i, m in enumerate(messages) if m.barrier == epoch), None)
            if offset is None:
                return None
            high = max((raw for m in messages[:offset] for raw, _ in m.rows), default=-1)
            found[partition] = Cut(offset=offset, raw_high=high)
        return found

    def counted(self, upto: dict[int, int]) -> list[tuple[dict[str, object], int]]:
        """Records that count and their positions, up to and with these log offsets:
        the first writer of a raw offset wins.
        """
        found = []
        for partition, messages in enumerate(self.messages):
            high = -1
            for message in messages[: upto.get(partition, -1) + 1]:
                for raw, record in message.rows:
                    if raw > high:
                        found.append((record, (partition << 44) | raw))
                        high = raw
        return found

    def _record(self) -> dict[str, object]:
        r = self._random
        late_us = r.choice(
            [0, 0, 0, 60_000_000, 3_600_000_000, 86_400_000_000, 90 * 86_400_000_000]
        )
        shopper = f"s{int(6 * r.random() ** 3)}"
        return {
            "order_id": f"o{r.random()}",
            "visit_id": None,
            "shopper": shopper,
            "country": r.choice([None, "", "NO", "PT", "s"]),
            "ordered_at": NOW_US - late_us + r.randrange(3) * 1_000_000,
            "amount": r.choice([0, 1999, 2000, -5, 10**15]),
            "items": r.randrange(1, 5),
        }


class World:
    """The log, the speed layer's partials of one view, and the view's stores."""

    def __init__(
        self, folder: Path, view: str = "spending", seed: int = 0, engine: str = "lmdb"
    ) -> None:
        self.view = pipeline.view(view)
        self.plan = ViewPlan(self.view)
        self.log = Log(seed)
        self.topic: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
        self.settings = MeshSettings(pipeline="none", data=str(folder), partitions=PARTITIONS)
        self.published: ViewPublished | None = None
        self.stores: list[Store | None] = [None] * PARTITIONS
        self.at = [0] * PARTITIONS
        self.engine = ENGINES[engine]()
        self.reader = ViewReader(
            self.view, [self.engine.reads(self.folder(p)) for p in range(PARTITIONS)]
        )
        self.folders = [self._folder(p, BEGINNING) for p in range(PARTITIONS)]
        for partition in range(PARTITIONS):
            self.open(partition)

    def folder(self, partition: int) -> Path:
        """Where a store lies."""
        return folder_of(self.settings, self.view.name, partition)

    def close(self) -> None:
        self.reader.close()
        for store in self.stores:
            if store is not None:
                store.close()

    def fold(self, partition: int, lose: tuple[int, ...] = ()) -> None:
        """Fold the rest of a log partition; partials for the targets in `lose` do not reach
        Kafka.
        """
        folder = self.folders[partition]
        for message in self.log.messages[partition][folder.next_offset :]:
            for partial in folder.fold(message.value, folder.next_offset, NOW_US)[1]:
                if partial.target not in lose:
                    self.topic[partial.target].append(partial.value)

    def restart_speed(self, partition: int) -> None:
        """A new speed worker replays the view's rule over what Kafka holds, behind the last
        published cut.
        """
        start = BEGINNING
        if self.published is not None:
            cut = self.published.cut[partition]
            start = Link(cut.offset, self.published.epoch + 1, cut.raw_high)
        chains = [start] * PARTITIONS
        for target, values in enumerate(self.topic):
            for value in values:
                header = decode_header(value)
                if header.origin_partition == partition:
                    chains[target] = advance(chains[target], header)
        self.folders[partition] = self._folder(partition, resume_at(chains, start))

    def apply(self, partition: int, count: int = 10**6, back: int = 0) -> None:
        """Let a store take the next `count` partials, beginning `back` before those it took
        last.
        """
        store = self.store(partition)
        start = max(0, self.at[partition] - back)
        stop = min(len(self.topic[partition]), self.at[partition] + count)
        store.apply(list(enumerate(self.topic[partition]))[start:stop])
        self.at[partition] = stop
        store.set_whole()

    def open(self, partition: int) -> None:
        """Open a store again, as after kill -9."""
        store = self.stores[partition]
        self.reader.close()
        if store is not None:
            store.close()
        store = self.open_store(self.plan, partition)
        self.stores[partition], self.at[partition] = store, store.read_state().start
        store.set_whole()

    def wipe(self, partition: int) -> None:
        """The disk of a store is lost; with nothing but its newest base and the partials it is
        built again.
        """
        store = self.store(partition)
        store.close()
        self.stores[partition] = None
        self.engine.wipe(self.folder(partition))
        self.open(partition)

    def publish(self) -> ViewPublished | None:
        """End the next epoch, where its barriers stand, with the fold of all before;
        None while they do not.
        """
        epoch = 1 if self.published is None else self.published.epoch + 1
        cut = self.log.cut(epoch)
        if cut is None:
            return None
        states = fold(self.view, self.log.counted({p: c.offset for p, c in cut.items()}))
        files = [self._file(epoch, partition, states) for partition in range(PARTITIONS)]
        self.published = ViewPublished(
            view=self.view.name,
            source="orders",
            epoch=epoch,
            cut=cut,
            files=files,
            definition_digest="",
            as_of_us=NOW_US,
            complete_since={},
        )
        return self.published

    def land(self, partition: int) -> Base | None:
        """A store takes the newest base and goes back to what it had to leave."""
        store = self.store(partition)
        if self.published is None or store.layout().newest.epoch >= self.published.epoch:
            return None
        base = self.fetch(partition)
        again = store.land(base)
        if again is not None:
            self.at[partition] = again
        return base

    def publish_all(self) -> None:
        """End every epoch whose barriers stand."""
        while self.publish() is not None:
            pass

    def fetch(self, partition: int, loading: BaseLoading | None = None) -> Base:
        """Bring the newest base where a store takes it from."""
        assert self.published is not None
        if loading is None:
            loading = self.store(partition).bases
        return bases.fetch(LocalObjects(), self.published, partition, loading)

    def store(self, partition: int) -> Store:
        """One that is open."""
        store = self.stores[partition]
        assert store is not None
        return store

    def open_store(self, plan: ViewPlan, partition: int) -> Store:
        """For a worker, after the world closed its own."""
        return Store(self.engine.open(self.folder(partition)), plan, KNOBS.spare_bytes)

    def check(self) -> None:
        """Every partition, at every base that it has: each key's bytes are the fold's at the
        position that is told.
        """
        for partition, store in enumerate(self.stores):
            assert store is not None
            for base in store.layout().bases:
                shot = self.reader.snapshot(partition, base.epoch)
                self.check_states(
                    partition,
                    shot.position,
                    dict(zip(shot.states.keys, shot.states.blobs(), strict=True)),
                )

    def check_states(
        self, partition: int, position: ViewPosition, states: dict[bytes, bytes]
    ) -> None:
        wanted = fold(self.view, self.log.counted(position.log))
        mine = {
            key: blob
            for key, blob in wanted.items()
            if keys.partition_of(key, PARTITIONS) == partition
        }
        assert states == mine
        for key, blob in mine.items():
            assert self.reader.state(key, position.epoch) == blob
            answers = kernel.read(self.plan, np.frombuffer(blob, np.int64), NOW_US)
            assert self.reader.read(key, NOW_US, position.epoch)[0].tobytes() == answers.tobytes()

    def _folder(self, partition: int, start: Link) -> Folder:
        return Folder(self.log.source, [self.plan], partition, PARTITIONS, start)

    def _file(self, epoch: int, partition: int, states: dict[bytes, bytes]) -> FileRef:
        mine = sorted(
            (k, b) for k, b in states.items() if keys.partition_of(k, PARTITIONS) == partition
        )
        path = Path(self.settings.data) / f"epoch{epoch}-{partition}.parquet"
        table = pa.table(
            {
                "key": pa.array([k for k, _ in mine], pa.binary()),
                "blob": pa.array([b for _, b in mine], pa.binary()),
            }
        )
        pq.write_table(table, path)
        return FileRef(
            uri=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest(), partition=partition
        )


class LocalObjects:
    """Objects that lie in local files."""

    def download(self, uri: str, path: str | Path, version_id: str | None = None) -> None:
        shutil.copyfile(uri, path)
