"""The batch layer on real Spark, Kafka, S3 and Hive: what it publishes equals the oracle to the byte, also after a crash."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame

from deploy.local.mesh import EmbeddedMesh
from preprocess_svc.batch.epochs.decisions import EpochDecision
from preprocess_svc.batch.epochs.engine import Engine
from preprocess_svc.batch.epochs.loop import Batch
from preprocess_svc.batch.epochs.next_step import next_step
from preprocess_svc.batch.epochs.plan import Rest, Seal
from preprocess_svc.batch.history.rows import spark_schema
from preprocess_svc.batch.history.table import History
from preprocess_svc.batch.settings import BatchSettings
from preprocess_svc.batch.spark import session
from preprocess_svc.batch.spark.context import Context
from preprocess_svc.batch.training_sets.building import TrainingSets
from preprocess_svc.batch.training_sets.tables import TrainingTables
from preprocess_svc.batch.wiring import plan_of
from schemas.events import (
    Event,
    FileAccepted,
    FileRef,
    FileWithdrawn,
    SealRequested,
    TrainingSetPublished,
    ViewPublished,
)
from schemas.topics import dead_letter, topic_of, training_table
from tests.integration.batch_rig import HOUR, START, World, end_spark
from tests.unit.batch.epochs.test_loop import World as LoopWorld
from twinstream import (
    Int,
    Label,
    Model,
    Source,
    String,
    Timestamp,
    count,
    sum_,
    time_to_first,
)
from twinstream.algebra import kernel, windows
from twinstream.algebra.fold import answers
from twinstream.algebra.plan import ViewPlan
from twinstream.audit.compare import Served, expected, keys_of
from twinstream.audit.everything import (
    Known,
    counts_of,
    file_records,
    log_messages,
    log_records,
    without_duplicates,
)
from twinstream.audit.labels import label_of_question
from twinstream.audit.plain import Row
from twinstream.datasets.fetching import published_manifest
from twinstream.errors import UNDECODABLE
from twinstream.features.inputs import Inputs
from twinstream.mesh.attempts import Attempts
from twinstream.mesh.clock import WallClock
from twinstream.mesh.events import EventReader
from twinstream.mesh.metrics import Metrics
from twinstream.mesh.object_store import split_uri
from twinstream.mesh.pipeline_file import load
from twinstream.protocol.training_split import PARTS
from twinstream.protocol.who_counts import counting

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(1500)]
SHOP = Path(__file__).parents[2] / "examples" / "shop" / "pipeline.py"


class CrashError(BaseException):
    """Stands for kill -9."""


class Shop:
    """A mesh of real engines, the batch layer in this process, and all that it published."""

    def __init__(self, mesh: EmbeddedMesh) -> None:
        self.settings, self.pipeline = mesh.settings, load(SHOP)
        self.world = World(self.settings, self.pipeline)
        knobs = self.knobs = BatchSettings.from_env(
            mesh.env
            | {
                "TWINSTREAM_BATCH_ROWS_PER_FILE": "100",
                "TWINSTREAM_BATCH_FILE_MEMORY_BYTES": str(1 << 30),
            }
        )
        self.spark = session.create(self.settings, knobs)
        self.context = Context(self.spark, self.settings, knobs, self.pipeline)
        self.metrics = Metrics(self.settings, "batch")
        self.engines: list[Engine] = []
        self.crash_before: type[Event] | None = None
        self.crash_at = 0

    def engine(self) -> Engine:
        self.engines.append(Engine(self.context, WallClock(), self.metrics))
        return self.engines[-1]

    def close(self) -> None:
        for engine in self.engines:
            engine.close()
        self.metrics.close()
        self.spark.stop()

    def start(self) -> Batch:
        """A batch layer that knows nothing but the topics."""
        engine = self.engine()
        publish, count = engine.publish, 0

        def may_crash(event: Event, key: str) -> None:
            nonlocal count
            if self.crash_before is type(event):
                count += 1
                if count > self.crash_at:
                    raise CrashError
            publish(event, key)

        engine.publish = may_crash  # type: ignore[method-assign]
        batch = Batch(
            plan_of(self.settings, self.knobs, self.pipeline),
            engine,
            WallClock(),
            Attempts(engine.failures),
        )
        batch.learn(to_end=True)
        return batch

    def finish(self, batch: Batch) -> Batch:
        """Steps until there is nothing left to do; the barriers stand as soon as they are asked for."""
        while True:
            step = next_step(
                plan_of(self.settings, self.knobs, self.pipeline), batch.seen, WallClock().now_us()
            )
            if isinstance(step, Rest):
                return batch
            batch.once()
            if isinstance(step, Seal):
                self.world.seal(step.epoch)
                batch.learn(to_end=True)

    def epoch(self) -> Batch:
        """Wish for the end of an epoch, and land it."""
        self.world.wish()
        return self.finish(self.start())

    def known(self, batch: Batch, source: str, epoch: int) -> list[Known]:
        """All that the oracle knows of a source at the cut of an epoch, each record once."""
        counts = counts_of(list(batch.seen.published.values()))
        named = self.pipeline.source(source)
        lacking = {number for event in batch.seen.published.values() for number in event.left_out}
        files = {number: file for number, file in batch.seen.files.items() if number not in lacking}
        filed = file_records(self.world.store, named, keys_of(self.pipeline, named), files, counts)
        return [
            k
            for k in without_duplicates([*log_records(self.settings, named), *filed], epoch)
            if k.epoch <= epoch
        ]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with (
        EmbeddedMesh(tmp_path_factory.mktemp("batch"), pipeline=SHOP) as mesh,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("JAVA_HOME", mesh.env["JAVA_HOME"])
        running = Shop(mesh)
        yield running
        running.close()
        end_spark()


@pytest.fixture(scope="module")
def landed(shop: Shop) -> dict[int, Batch]:
    """Three epochs: files and live records; more of both, with everything twice; a late flood, crashed in each phase."""
    world, done = shop.world, {}
    visits, orders = world.session(0, 400, 220)
    world.file("visits", visits[:120], form="parquet")
    world.file("visits", visits[100:140], extra=b'\n{"visit_id": 5}\nno json\n')
    world.file("orders", orders[:40])
    world.log("visits", visits[130:220], again=2)
    world.log("orders", orders[40:90], per_pack=3)
    world.hole("orders", 0, 5)
    done[1] = shop.epoch()
    more, bought = world.session(380, 100, 160)
    world.file("visits", more[:40] + visits[150:160])
    world.file("visits", visits[:10])
    world.log("visits", more[20:] + visits[110:120], again=1)
    world.log("orders", bought + orders[:5], late_us=2 * HOUR)
    done[2] = shop.epoch()
    late, _ = world.session(-300, 60, 30)
    world.log("visits", late, late_us=800 * HOUR)
    world.file("visits", [world.visit(500), *more[40:50]])
    done[3] = crashed_everywhere(shop)
    return done


def states_of(shop: Shop, files: list[FileRef], partition: int) -> dict[bytes, bytes]:
    """What a base file holds, its order and row groups checked."""
    (file,) = [f for f in files if f.partition == partition]
    table = pq.read_table(BytesIO(shop.world.store.get_uri(file.uri)))
    keys = table["key"].to_pylist()
    assert keys == sorted(set(keys))
    assert len(keys) == file.rows
    return dict(zip(keys, table["blob"].to_pylist(), strict=True))


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_every_base_equals_the_fold_of_everything_up_to_its_cut(
    shop: Shop, landed: dict[int, Batch], epoch: int
) -> None:
    assert all(assert_equals_the_oracle(shop, landed[epoch], epoch))


def assert_equals_the_oracle(shop: Shop, batch: Batch, epoch: int) -> list[int]:
    """How many keys each base has."""
    sizes = []
    for view in shop.pipeline.views:
        manifest = batch.seen.published[view.name, epoch]
        known = shop.known(batch, view.source.name, epoch)
        for partition in range(shop.settings.partitions):
            have = states_of(shop, manifest.files, partition)
            log = {p: cut.offset for p, cut in manifest.cut.items()}
            served = Served(view.name, partition, epoch, log, manifest.complete_since, have)
            assert have == expected(view, known, served, shop.settings.partitions)
            sizes.append(len(have))
    return sizes


def test_the_manifest_names_the_highest_raw_offset_of_every_log(
    shop: Shop, landed: dict[int, Batch]
) -> None:
    manifest = landed[3].seen.manifest(3)
    assert manifest is not None
    for (source, partition), high in shop.world.high.items():
        assert manifest.cuts[source][partition].raw_high == high


def test_bad_rows_of_files_are_dead_lettered_with_their_place(
    shop: Shop, landed: dict[int, Batch]
) -> None:
    dead_letters = [value for _, _, value in log_messages(shop.settings, dead_letter("preprocess"))]
    assert sorted(set(dead_letters)) == [b"no json", b'{"visit_id": 5}']


def training_rows(shop: Shop, published: TrainingSetPublished) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for file in published.files:
        table = pq.read_table(BytesIO(shop.world.store.get_uri(file.uri)))
        assert table.column_names == published.columns
        rows += table.to_pylist()
    return rows


def test_a_training_set_is_a_table_and_says_what_it_holds(
    shop: Shop, landed: dict[int, Batch]
) -> None:
    published, (model,) = trained(landed[3], 3), shop.pipeline.models
    rows = training_rows(shop, published)
    table = shop.spark.table(training_table(shop.pipeline.name, model.name, 3))
    assert (table.columns, table.count()) == (published.columns, len(rows))
    TrainingTables(shop.context).keep(model.name, {3})
    database = training_table(shop.pipeline.name, model.name, 3).split(".")[0]
    tables = {row["tableName"] for row in shop.spark.sql(f"SHOW TABLES IN {database}").collect()}
    assert tables == {"training_will_buy_e3", "history_visits", "history_orders"}
    manifest = published_manifest(published, shop.world.store)
    for column in manifest.columns:
        assert column.nulls == sum(row[column.name] is None for row in rows)
    assert manifest.inputs == Inputs.of(model.inputs)
    moments = [row["_at_us"] for row in rows]
    split = manifest.split
    assert split.purged_us == model.label.horizon_us
    parts = split.parts(np.array(moments))
    assert [range(*manifest.parts[part]) for part in PARTS] == list(parts)


def trained(batch: Batch, epoch: int) -> TrainingSetPublished:
    (found,) = [event for event in batch.seen.training if event.epoch == epoch]
    return found


@pytest.mark.parametrize("epoch", [1, 3])
def test_every_training_row_holds_what_was_known_at_its_moment(
    shop: Shop, landed: dict[int, Batch], epoch: int
) -> None:
    batch, (model,) = landed[epoch], shop.pipeline.models
    rows = training_rows(shop, trained(batch, epoch))
    assert [(r["_at_us"], r["_id"]) for r in rows] == sorted((r["_at_us"], r["_id"]) for r in rows)
    asked = {k.record["visit_id"]: k.record for k in shop.known(batch, "visits", epoch)}
    for view in model.views:
        known = shop.known(batch, view.source.name, epoch)
        for row in rows[:: max(1, len(rows) // 25)]:
            key = asked[row["_id"]][view.by[0]]
            before = [
                (k.record, k.position) for k in known if known_us(view.source, k) <= row["_at_us"]
            ]
            want = answers(view, before, b"" if key is None else str(key).encode(), row["_at_us"])
            have = [row[f"{view.name}.{output.name}"] for output in view.outputs]
            flat = [
                np.nan if v is None else v
                for value in have
                for v in (value if isinstance(value, list) else [value])
            ]
            np.testing.assert_array_equal(flat, want)


def known_us(source: Any, known: Known) -> int:
    return known.known_us if known.file_seq < 0 else known.record[source.known_at]


def test_every_question_whose_horizon_has_passed_is_in_the_training_set(
    shop: Shop, landed: dict[int, Batch]
) -> None:
    batch = landed[3]
    manifest = batch.seen.manifest(3)
    assert manifest is not None
    rows = {row["_id"]: row for row in training_rows(shop, trained(batch, 3))}
    orders = [k.record for k in shop.known(batch, "orders", 3)]
    for known in shop.known(batch, "visits", 3):
        visit = known.record
        bought = [
            o
            for o in orders
            if o["visit_id"] == visit["visit_id"]
            and 0 <= o["ordered_at"] - visit["visited_at"] <= HOUR
        ]
        passed = visit["visited_at"] + HOUR < manifest.as_of_us
        assert (visit["visit_id"] in rows) == passed
        if passed:
            assert rows[visit["visit_id"]]["_label"] == float(bool(bought))


@pytest.mark.parametrize(
    ("spine", "at", "value"),
    [
        ("visits", "visited_at", lambda: sum_("amount")),
        ("visits", "visited_at", lambda: time_to_first(where=lambda order: order.items > 1)),
        ("orders", "ordered_at", lambda: count() > 0),
    ],
)
def test_labels_over_the_time_after_a_question_equal_the_naive_ones(
    shop: Shop, landed: dict[int, Batch], spine: str, at: str, value: Callable[[], Any]
) -> None:
    """Of another source, and of the questions' own."""
    batch, asked, orders = landed[3], shop.pipeline.source(spine), shop.pipeline.source("orders")
    manifest = batch.seen.manifest(3)
    assert manifest is not None
    label = Label("later", orders, on="shopper", horizon="48h", value=value())
    loss = "binary_cross_entropy" if label.binary else "mean_squared_error"
    views = [shop.pipeline.view("spending")]
    model = Model("later", spine=asked, at=at, views=views, label=label, loss=loss)
    training = TrainingSets(shop.context, History(shop.context))
    published = training.build(model, 3, manifest.as_of_us)
    assert published is not None
    rows = [Row(k.record, k.position) for k in shop.known(batch, "orders", 3)]
    wanted = []
    for k in shop.known(batch, spine, 3):
        worth = label_of_question(model, k.record, rows, manifest.as_of_us)
        if worth is not None:
            wanted.append((k.record[at], k.record[asked.id_fields[0]], worth))
    found = [(r["_at_us"], r["_id"], r["_label"]) for r in training_rows(shop, published)]
    assert sorted(found) == sorted(wanted)
    assert len({worth for _, _, worth in wanted}) > 1


def test_a_training_set_built_again_at_its_cut_has_the_same_digest(
    shop: Shop, landed: dict[int, Batch]
) -> None:
    batch = landed[3]
    manifest = batch.seen.manifest(2)
    assert manifest is not None
    again = shop.engine().train("will-buy", manifest)
    assert again is not None
    assert again.digest == trained(batch, 2).digest
    assert again.files != trained(batch, 2).files


def test_the_history_holds_each_record_once_in_hive(shop: Shop, landed: dict[int, Batch]) -> None:
    found = shop.spark.sql(
        "select visit_id, count(*) as n from shop.history_visits where _epoch <= 3 group by visit_id"
    ).toArrow()
    once = {k.record["visit_id"] for k in shop.known(landed[3], "visits", 3)}
    live_twice = sum(n - 1 for n in found["n"].to_pylist())
    assert set(found["visit_id"].to_pylist()) == once
    assert live_twice == len(shop.known(landed[3], "visits", 3)) - len(once)


def test_crashed_attempts_leave_nothing_on_s3(shop: Shop, landed: dict[int, Batch]) -> None:
    bucket, prefix = split_uri(f"s3://{shop.settings.bucket}/shop/history/visits/_epoch=3/")
    assert (
        len(
            {
                key.removeprefix(prefix).split("/")[0]
                for key in shop.world.store.list(bucket, prefix)
            }
        )
        == 1
    )


def test_one_order_dated_ahead_moves_nobodys_time(shop: Shop, landed: dict[int, Batch]) -> None:
    """Its file has no other moment at which it became known; the windows of all keys would have been dropped."""
    now_us = WallClock().now_us()
    orders = [
        shop.world.order((now_us - START) / HOUR - 0.1, number=9000 + i)
        | {"shopper": "today", "country": "DE"}
        for i in range(11)
    ]
    orders[3]["ordered_at"] = 2_903_385_600_000_000  # 2062-01-01
    shop.world.file("orders", orders)
    batch = shop.epoch()
    manifest = batch.seen.published["spending", 4]
    assert now_us <= manifest.as_of_us + HOUR <= WallClock().now_us() + HOUR
    plan = ViewPlan(shop.pipeline.view("spending"))
    states = {
        k: v
        for p in range(shop.settings.partitions)
        for k, v in states_of(shop, manifest.files, p).items()
    }
    answered = kernel.read(plan, np.frombuffer(states[b"today"], np.int64), WallClock().now_us())
    counts = dict(zip([o.name for o in plan.view.outputs], answered.tolist(), strict=True))
    assert (counts["orders_24h"], counts["orders_30d"], counts["orders_all"]) == (10, 10, 11)
    longest = {
        hop.hop: windows.length_us(hop.windows[-1]) for hop in plan.hops if hop.hop != windows.ALL
    }
    assert all(
        first * windows.HOP_US[hop] + longest[hop] <= now_us
        for hop, first in manifest.complete_since.items()
        if hop in longest
    )


def test_the_history_counts_by_the_rule_of_who_counts(shop: Shop) -> None:
    """Three thousand ids, each a world of its own: live in some epochs and partitions, and in some files."""
    source = Source(
        "things",
        id=("a", "b"),
        key="a",
        event_time="at",
        fields={"a": String(), "b": Int(), "at": Timestamp()},
    )
    only: Any = SimpleNamespace(name="worlds", sources=[source])
    history = History(shop.context._replace(pipeline=only))
    history.ensure_tables()
    rows = random_worlds(3000)
    for epoch in range(1, EPOCHS + 1):
        frames = [
            frame(shop, source, [k for k in rows if k.epoch == epoch and (k.position < 0) == filed])
            for filed in (True, False)
        ]
        history.point(source, epoch, history.append(source, epoch, *frames).path)
        found = {
            row["_position"] for row in history.rows(source, epoch).select("_position").collect()
        }
        assert found == {k.position for k in counting(rows, epoch)}
        assert found == {k.position for k in without_duplicates(rows, epoch) if k.epoch <= epoch}


EPOCHS = 4


def random_worlds(ids: int) -> list[Known]:
    chance, rows = random.Random(11), []
    raws = [0] * 3
    files = {epoch: [3 * epoch, 3 * epoch + 1] for epoch in range(1, EPOCHS + 1)}
    for number in range(ids):
        name = f"{number % 97},{number}".encode()
        for _ in range(chance.randrange(1, 5)):
            epoch = chance.randint(1, EPOCHS)
            if chance.random() < 0.5:
                seq = chance.choice(files[epoch])
                rows.append(
                    Known({}, -(1 << 62) + (seq << 32) + len(rows), name, epoch, 0, file_seq=seq)
                )
            else:
                partition = chance.randrange(3)
                raws[partition] += 1
                rows.append(
                    Known(
                        {},
                        (partition << 44) | raws[partition],
                        name,
                        epoch,
                        0,
                        log_partition=partition,
                    )
                )
    return rows


def frame(shop: Shop, source: Source, rows: list[Known]) -> DataFrame | None:
    if not rows:
        return None
    values = [
        (k.position, 7, k.id.decode().split(",")[0], int(k.id.decode().split(",")[1]), 7)
        for k in rows
    ]
    return shop.spark.createDataFrame(values, spark_schema(source))


class Poisoned(NamedTuple):
    """An epoch with files that cannot be read, lies on the topics and foreign messages in a log."""

    batch: Batch
    left_out: list[FileAccepted]
    good: set[str]
    bad_rows: int
    lies: int


@pytest.fixture(scope="module")
def poisoned(shop: Shop, landed: dict[int, Batch]) -> Poisoned:
    world, before = shop.world, len(landed)
    good = [world.visit(510) for _ in range(6)]
    names = list(shop.pipeline.source("visits").fields)
    lines = [
        ",".join("" if visit[name] is None else str(visit[name]) for name in names)
        for visit in good[:4]
    ]
    ragged = (
        "\n".join(
            [
                ",".join(names),
                lines[0],
                "a,b",
                lines[1],
                lines[2] + ",more",
                lines[3],
                '"never closed',
            ]
        )
        + "\n"
    )
    world.put("visits", ragged.encode(), "csv")
    broken = bytearray(
        world.store.get_uri(world.file("visits", [good[4]] * 30, form="parquet").file.uri)
    )
    broken[20:60] = bytes(40)
    left_out = [
        world.put("visits", bytes(broken), "parquet"),
        world.put("visits", b"PAR1 is no footer", "parquet"),
        world.put("orders", b"", "parquet"),
    ]
    gone = world.file("visits", [world.visit(511)])
    world.store.delete(*split_uri(gone.file.uri))
    gone = msgspec.structs.replace(
        gone, file=msgspec.structs.replace(gone.file, version_id="no-such-version")
    )
    world.events.publish(gone)
    withdrawn = world.file("visits", [world.visit(512)])
    world.events.publish(FileWithdrawn(source="visits", uri=withdrawn.file.uri))
    world.foreign("visits")
    world.log("visits", [good[5]])
    lies = world.lie()
    batch = shop.epoch()
    assert batch.seen.newest > before
    return Poisoned(
        batch,
        [*left_out, gone, withdrawn],
        {visit["visit_id"] for n, visit in enumerate(good) if n != 2},
        3,
        lies,
    )


def test_epoch_lands_without_files_that_cannot_be_read(shop: Shop, poisoned: Poisoned) -> None:
    batch = poisoned.batch
    manifest = batch.seen.manifest(batch.seen.newest)
    assert manifest is not None
    lacking = [batch.seen.files[number].file for number in manifest.left_out]
    assert sorted(f.uri for f in lacking) == sorted(a.file.uri for a in poisoned.left_out)
    counted = {
        row["visit_id"]
        for row in shop.spark.table("shop.history_visits").select("visit_id").toArrow().to_pylist()
    }
    assert poisoned.good <= counted


def test_every_bad_row_and_file_and_lie_is_one_dead_letter(shop: Shop, poisoned: Poisoned) -> None:
    reasons = []
    with EventReader(shop.settings, [dead_letter("preprocess")]) as reader:
        while not reader.at_end():
            if (message := reader.poll_raw(1.0)) is not None:
                headers = {name: value.decode() for name, value in message.headers()}
                reasons.append(
                    (
                        headers["dead_letter_topic"],
                        headers["dead_letter_offset"],
                        headers["dead_letter_reason"],
                    )
                )
    files = {topic for topic, offset, _ in reasons if offset == "-1"}
    assert files == {a.file.uri for a in poisoned.left_out[:-1]}
    rows = [(topic, offset) for topic, offset, _ in reasons if topic.endswith(".csv")]
    assert len(rows) == len(set(rows)) == poisoned.bad_rows
    assert len([topic for topic, _, _ in reasons if not topic.startswith("s3://")]) == poisoned.lies


def test_poisoned_epoch_equals_the_fold_of_all_that_counts(shop: Shop, poisoned: Poisoned) -> None:
    assert any(assert_equals_the_oracle(shop, poisoned.batch, poisoned.batch.seen.newest))


class Hostile(NamedTuple):
    """An epoch with files that would take a worker's memory or disk, or its life, on bases of which some are damaged."""

    batch: Batch
    left_out: list[FileAccepted]
    alerts: list[str]
    reasons: dict[str, str]


@pytest.fixture(scope="module")
def hostile(shop: Shop, poisoned: Poisoned) -> Hostile:
    world, alerts = shop.world, list[str]()
    before = poisoned.batch.seen
    for view, damage in (("by-shopper", False), ("by-country", True)):
        uri = before.published[view, before.newest].files[0].uri
        if damage:
            world.store.put_uri(uri, world.store.get_uri(uri)[:100])
        else:
            world.store.delete(*split_uri(uri))
    visits = [world.visit(520 + i % 5) for i in range(100_000)]
    bombs = [
        world.put("visits", repeated_text(), "parquet"),
        world.put("visits", equal_rows(), "parquet"),
        world.file("visits", visits),
    ]
    world.file("visits", [world.visit(521)])
    world.log("orders", [world.order(521)])
    engine_of = shop.engine

    def told() -> Engine:
        engine = engine_of()
        engine.alert = alerts.append  # type: ignore[method-assign]
        return engine

    shop.engine = told  # type: ignore[method-assign]
    with killing_readers_of(world.store.head_uri(bombs[2].file.uri).size_bytes):
        batch = shop.epoch()
    del shop.engine
    return Hostile(batch, bombs, alerts, file_reasons(shop))


def repeated_text() -> bytes:
    """800 GB of text in 250 kB: one page of eight million letters, named in each of 100,000 rows."""
    columns = {
        "visit_id": pa.array([f"b{i}" for i in range(100_000)]),
        "page": pa.DictionaryArray.from_arrays(
            pa.array([0] * 100_000, pa.int32()), pa.array(["x" * (8 << 20)])
        ),
    }
    return parquet_of(columns, 100_000)


def equal_rows() -> bytes:
    """50 million rows in 90 kB."""
    one = pa.DictionaryArray.from_arrays(pa.array(np.zeros(50_000_000, np.int32)), pa.array(["v"]))
    return parquet_of({"visit_id": one}, 50_000_000)


def parquet_of(columns: dict[str, pa.Array], group: int) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.table(columns),
        sink,
        row_group_size=group,
        compression="zstd",
        write_statistics=False,
        store_schema=False,
    )
    return sink.getvalue().to_pybytes()


@contextmanager
def killing_readers_of(size_bytes: int) -> Iterator[None]:
    """Kill each worker as soon as it reads a file of this size, as the kernel does when memory is short."""
    over = threading.Event()

    def hunt() -> None:
        while not over.wait(0.01):
            for path in Path("/proc").glob("[0-9]*/fd/*"):
                with suppress(OSError):
                    if (
                        "/twinstream-file-" in str(path.readlink())
                        and path.stat().st_size == size_bytes
                    ):
                        os.kill(int(path.parts[2]), signal.SIGKILL)

    hunter = threading.Thread(target=hunt, daemon=True)
    hunter.start()
    try:
        yield
    finally:
        over.set()
        hunter.join(10)


def file_reasons(shop: Shop) -> dict[str, str]:
    """Why files were left out, by URI, as their dead letters say."""
    reasons = {}
    with EventReader(shop.settings, [dead_letter("preprocess")]) as reader:
        while not reader.at_end():
            if (message := reader.poll_raw(1.0)) is not None:
                headers = {name: value.decode() for name, value in message.headers()}
                if headers["dead_letter_offset"] == "-1":
                    reasons[headers["dead_letter_topic"]] = headers["dead_letter_reason"]
    return reasons


def test_files_that_would_kill_their_reader_are_left_out(shop: Shop, hostile: Hostile) -> None:
    manifest = hostile.batch.seen.manifest(hostile.batch.seen.newest)
    assert manifest is not None
    lacking = [hostile.batch.seen.files[number].file.uri for number in manifest.left_out]
    assert sorted(lacking) == sorted(bomb.file.uri for bomb in hostile.left_out)
    memory, rows, deadly = (hostile.reasons[bomb.file.uri] for bomb in hostile.left_out)
    assert "more than 1073741824 bytes of memory" in memory
    assert "50000000 rows in" in rows
    assert "died 3 times" in deadly
    assert any("died 3 times" in alert for alert in hostile.alerts)


def test_epoch_on_damaged_bases_equals_the_fold_of_everything(shop: Shop, hostile: Hostile) -> None:
    assert any(assert_equals_the_oracle(shop, hostile.batch, hostile.batch.seen.newest))
    assert len([alert for alert in hostile.alerts if "folded whole" in alert]) == 2


def crashed_everywhere(shop: Shop) -> Batch:
    """One epoch, in which the process dies after the folds, decided or not, between two views, and
    before the training set."""
    shop.world.wish()
    undecided = shop.start()
    before_deciding(shop.engines[-1], crash)
    with pytest.raises(CrashError):
        shop.finish(undecided)
    for kind, number in (
        (ViewPublished, 0),
        (ViewPublished, 1),
        (ViewPublished, 1),
        (TrainingSetPublished, 0),
    ):
        shop.crash_before, shop.crash_at = kind, number
        with pytest.raises(CrashError):
            shop.finish(shop.start())
    shop.crash_before = None
    return shop.finish(shop.start())


def crash() -> None:
    raise CrashError


def before_deciding(engine: Engine, act: Callable[[], object]) -> None:
    """Do this once all of an epoch is computed, and nothing of it is decided."""
    settle = engine._decisions.settle

    def late(*attempt: Any) -> list[EpochDecision]:
        act()
        return settle(*attempt)

    engine._decisions.settle = late  # type: ignore[method-assign]


class Rivals(NamedTuple):
    """An epoch that two drivers landed: one had read and folded all when the other, with a file
    more, came first.
    """

    slow: Batch
    epoch: int


@pytest.fixture(scope="module")
def rivals(shop: Shop, hostile: Hostile) -> Rivals:
    world = shop.world
    world.file("visits", [world.visit(530)])
    world.log("orders", [world.order(531)])
    world.wish()
    slow = shop.start()
    engine = shop.engines[-1]
    quick = shop.start()

    def overtake() -> None:
        world.file("visits", [world.visit(532), world.visit(533)])
        shop.finish(quick)

    before_deciding(engine, overtake)
    return Rivals(shop.finish(slow), quick.seen.newest)


def test_of_two_drivers_at_one_epoch_one_publishes(shop: Shop, rivals: Rivals) -> None:
    """The slow one adopts what the quick one decided, to the last file."""
    of_epoch = manifests_told(shop, rivals.epoch)
    assert sorted(event.view for event in of_epoch) == sorted(v.name for v in shop.pipeline.views)
    assert {event.file_count for event in of_epoch} == {rivals.slow.seen.files_end}
    sets = [event for event in rivals.slow.seen.training if event.epoch == rivals.epoch]
    assert len(sets) == len(shop.pipeline.models)


def manifests_told(shop: Shop, epoch: int) -> list[ViewPublished]:
    """All messages of the topic that are of an epoch; others have put there what is no event."""
    found = []
    for _, _, value in log_messages(shop.settings, topic_of(ViewPublished)):
        with suppress(*UNDECODABLE):
            event = msgspec.json.decode(value, type=ViewPublished)
            found += [event] if event.epoch == epoch else []
    return found


def test_epoch_of_two_drivers_equals_the_fold_of_everything(shop: Shop, rivals: Rivals) -> None:
    assert any(assert_equals_the_oracle(shop, rivals.slow, rivals.epoch))
    held = shop.spark.table("shop.history_visits").where(f"_epoch <= {rivals.epoch}")
    found = {row["visit_id"] for row in held.select("visit_id").collect()}
    known = shop.known(rivals.slow, "visits", rivals.epoch)
    assert found == {k.record["visit_id"] for k in known}


def test_attempt_that_came_too_late_leaves_nothing_in_the_history(
    shop: Shop, rivals: Rivals
) -> None:
    folder = f"shop/history/visits/_epoch={rivals.epoch}/"
    keys = shop.world.store.list(shop.settings.bucket, folder)
    assert len({key.removeprefix(folder).split("/")[0] for key in keys}) == 1


def test_the_loop_gets_what_is_published_once_and_says_what_it_gave_up(shop: Shop) -> None:
    """Of Ports and Reports, on the real engine and on the fake that the loop's own tests run on."""
    engine, fake = shop.engine(), LoopWorld(Path(shop.settings.data))
    for ports in (engine, fake):
        while ports.poll(0.2) is not None or not ports.at_end():
            pass
        for number in (1, 2):
            wish = SealRequested(reason=f"contract {number}", requested_at_us=START + number)
            ports.publish(wish, "seal")
        found = []
        while len(found) < 2:
            if (got := ports.poll(0.2)) is not None:
                found.append(got)
        assert [event.reason for event, _ in found] == ["contract 1", "contract 2"]
        assert found[1][1] > found[0][1]
        assert ports.at_end()
        assert ports.poll(0.0) is None
        ports.observe("contract", 1.0)
        ports.base_lost("spending", "contract: it is gone")
        ports.alert("contract: given up")
    assert fake.alerts == ["contract: given up"]
    with EventReader(shop.settings, [dead_letter("preprocess")]) as reader:
        reasons = [
            dict(m.headers())["dead_letter_reason"].decode() for m in reader.messages_to_end()
        ]
    assert [r for r in reasons if "contract" in r] == [
        "the base of view spending is folded whole from the history: contract: it is gone",
        "contract: given up",
    ]
