"""The rows of a source's log between two cuts: Spark reads exactly these offsets,
Arrow functions unpack them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F  # noqa: N812  (its customary name)

from preprocess_svc.batch.history.rows import KNOWN, POSITION, one_batch, row_schema, spark_schema
from preprocess_svc.batch.spark.context import Context
from schemas import packs
from schemas.events import Cut
from schemas.topics import records_accepted
from twinstream.define import Source
from twinstream.mesh import kafka_security
from twinstream.mesh.settings import pairs
from twinstream.protocol.known_time import EARLIEST_US
from twinstream.protocol.row_order import beyond_all_before, position_in_log, raw_high_after

JOIN_ROWS = 50_000
LANES = "lanes"
_MAGIC, _RAW_LAST, _RAW_HIGH, _KNOWN_MAX = 0, 5, 6, 10  # words of a pack's header


class Ends(NamedTuple):
    """The cut with the highest raw offset so far, and the newest time to which ingest had moved a
    partition (EARLIEST_US: no message).
    """

    cut: dict[int, Cut]
    lanes_us: int


def read(
    context: Context,
    source: Source,
    after: dict[int, Cut],
    cut: dict[int, Cut],
) -> tuple[DataFrame | None, Callable[[], Ends]]:
    """(rows that count, where the log ends there); the latter once the rows were computed.

    Log partition p from behind `after[p]` to before `cut[p]`; None when no message lies there.
    """
    spans = {p: offsets_between(after[p], end) for p, end in cut.items()}
    if all(start == end for start, end in spans.values()):
        nothing = Ends(_unmoved(after, cut), EARLIEST_US)
        return None, lambda: nothing
    return _unpacked(_messages(context, source, spans), source, after, cut)


def _unpacked(
    messages: DataFrame,
    source: Source,
    after: dict[int, Cut],
    cut: dict[int, Cut],
) -> tuple[DataFrame, Callable[[], Ends]]:
    """As `read`, of the messages there."""
    seen = Observation()
    high = {p: c.raw_high for p, c in after.items()}
    observed = messages.observe(seen, *_highest(cut))
    rows = observed.mapInArrow(Unpack(source, high), spark_schema(source))

    def ends() -> Ends:
        found = _observed(seen, messages, cut)
        return Ends(_highs(found, high, cut), _or_earliest(found[LANES]))

    return rows, ends


def offsets_between(after: Cut, cut: Cut) -> tuple[int, int]:
    """First offset behind one cut, and the one to end before; equal where nothing lies between."""
    start = after.offset + 1
    return start, max(cut.offset, start)


def _unmoved(after: dict[int, Cut], cut: dict[int, Cut]) -> dict[int, Cut]:
    """A cut up to which no record came."""
    return {p: Cut(offset=c.offset, raw_high=after[p].raw_high) for p, c in cut.items()}


def _observed(
    seen: Observation,
    messages: DataFrame,
    cut: dict[int, Cut],
) -> dict[str, int | None]:
    """What was observed while the rows were computed.

    Where no row came of anything, Spark drops the observing part of its plan.
    """
    try:
        return dict(seen.get)
    except Py4JJavaError:
        return messages.agg(*_highest(cut)).collect()[0].asDict()


def _messages(
    context: Context,
    source: Source,
    spans: dict[int, tuple[int, int]],
) -> DataFrame:
    """One task a log partition, in the order of its offsets: Spark splits a range only when told
    to.
    """
    options = {
        "failOnDataLoss": "true",
        **{f"kafka.{name}": value for name, value in _kafka_options(context).items()},
        **_range_options(records_accepted(source.name), spans),
    }
    reader = context.spark.read.format("kafka").options(**options)
    return reader.load().select("partition", "offset", "value")


def _kafka_options(context: Context) -> dict[str, str]:
    """Of Java's client."""
    servers = {"bootstrap.servers": context.mesh.kafka}
    security = kafka_security.for_java(context.mesh.kafka_security())
    return servers | security | pairs(context.knobs.kafka_options)


def _range_options(topic: str, spans: dict[int, tuple[int, int]]) -> dict[str, str]:
    """Exactly these offsets."""
    starts = {str(p): start for p, (start, _) in spans.items()}
    ends = {str(p): end for p, (_, end) in spans.items()}
    return {
        "assign": json.dumps({topic: list(spans)}),
        "startingOffsets": json.dumps({topic: starts}),
        "endingOffsets": json.dumps({topic: ends}),
    }


def _or_earliest(us: int | None) -> int:
    return EARLIEST_US if us is None else int(us)


def _highest(cut: dict[int, Cut]) -> list[Column]:
    """Of each partition the highest raw offset, and of all the newest known time."""
    ours = _is_ours()
    high = F.greatest(_word(_RAW_LAST), _word(_RAW_HIGH))
    highs = [F.max(F.when((F.col("partition") == p) & ours, high)).alias(f"p{p}") for p in cut]
    lanes = F.max(F.when(ours, _word(_KNOWN_MAX)))
    return [*highs, lanes.alias(LANES)]


def _is_ours() -> Column:
    """Whether a message begins with a pack's header, as `packs.log_header` has it."""
    long_enough = F.length("value") >= packs.HEADER_BYTES
    return long_enough & (_word(_MAGIC) == packs.MAGIC)


def _word(number: int) -> Column:
    """A little-endian int64 of the header, in Spark SQL."""
    digits = F.hex(F.substring("value", 8 * number + 1, 8))
    pairs_of_digits = [F.substring(digits, 2 * byte + 1, 2) for byte in range(7, -1, -1)]
    return F.conv(F.concat(*pairs_of_digits), 16, -10).cast("bigint")


def _highs(
    seen: dict[str, int | None],
    before: dict[int, int],
    cut: dict[int, Cut],
) -> dict[int, Cut]:
    """The cut, with the highest raw offset of now and before."""
    return {
        p: Cut(offset=c.offset, raw_high=max(before[p], _or_none(seen[f"p{p}"])))
        for p, c in cut.items()
    }


def _or_none(raw_high: int | None) -> int:
    return -1 if raw_high is None else raw_high


class Unpack:
    """Packs to rows. A row counts only if its raw offset is beyond all before it in its log
    partition: the first writer wins.
    """

    def __init__(self, source: Source, high: dict[int, int]) -> None:
        self._source = source
        self._high = high

    def __call__(self, messages: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Batches (partition, offset, value) in offset order to batches of rows."""
        schema = row_schema(self._source)
        high = dict(self._high)
        held: list[pa.RecordBatch] = []
        count = 0
        for partition, value in _values(messages):
            held.append(self._rows(partition, value, high, schema))
            count += held[-1].num_rows
            if count >= JOIN_ROWS:
                yield joined(held, schema)
                held, count = [], 0
        yield joined(held, schema)

    def _rows(
        self,
        partition: int,
        value: pa.Buffer,
        high: dict[int, int],
        schema: pa.Schema,
    ) -> pa.RecordBatch:
        header = packs.log_header(value.slice(0, min(96, value.size)).to_pybytes())
        before = high[partition]
        high[partition] = raw_high_after(before, header)
        if header.kind == packs.BARRIER or header.rows == 0:
            return pa.RecordBatch.from_pylist([], schema=schema)
        rows = packs.decode_rows(value, self._source.pack_schema)
        raw = rows[packs.RAW].to_numpy()
        position = position_in_log(partition, raw)
        return positioned(rows, beyond_all_before(raw, before), position, schema)


def _values(messages: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, pa.Buffer]]:
    """(partition, bytes) of each message."""
    for batch in messages:
        for partition, value in zip(batch["partition"].to_pylist(), batch["value"], strict=True):
            yield partition, value.as_buffer() or pa.py_buffer(b"")


def positioned(
    pack: pa.RecordBatch,
    counts: np.ndarray,
    position: np.ndarray,
    schema: pa.Schema,
) -> pa.RecordBatch:
    """The rows of a pack that count, with their positions."""
    ours = {POSITION: pa.array(position), KNOWN: pack[packs.KNOWN]}
    columns = [ours[n] if n in ours else pack[n] for n in schema.names]
    batch = pa.RecordBatch.from_arrays(columns, schema=schema)
    return batch if counts.all() else batch.filter(pa.array(counts))


def joined(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    """Many small batches as one."""
    return one_batch(pa.Table.from_batches(batches, schema))
