"""How large the states of a pack can be: ingest cuts packs by it, so that every partial fits a Kafka message."""

import numpy as np
import pyarrow as pa

from ingest_svc.wiring import pack_rows
from schemas.partials import HEADER_BYTES, STATE_BYTES
from tests.laws.cases import source
from twinstream import View, distinct, last_k, quantile
from twinstream.algebra import kernel
from twinstream.algebra.plan import ViewPlan
from twinstream.mesh.topics_admin import MAX_MESSAGE_BYTES

WIDE = View(
    "wide",
    source,
    by="shop",
    features={
        "values": last_k("size", 64).over("1h", "24h", "30d", "all"),
        "middle": quantile("size", 0.5).over("1h", "30d"),
        "many": distinct("size").over("24h", "all"),
    },
)


class Only:
    """A pipeline of one view."""

    def views_of(self, name: str) -> tuple[View, ...]:
        return (WIDE,) if name == source.name else ()


def test_a_pack_of_as_many_new_keys_as_it_may_hold_fits_a_partial() -> None:
    rows = pack_rows(Only(), source.name)
    assert 1_000 < rows < 10_000
    records = {field.name: pa.nulls(rows, field.type) for field in source.schema}
    records |= {
        "shop": pa.array([f"key-{n}" for n in range(rows)]),
        "size": pa.array(np.arange(rows) % 1000).cast(source.schema.field("size").type),
    }
    records[source.event_time] = pa.array(np.arange(rows)).cast(
        source.schema.field(source.event_time).type
    )
    batch = pa.RecordBatch.from_pydict(records, schema=source.schema)
    states = kernel.lift(ViewPlan(WIDE), batch, np.arange(rows), chunked=True)
    assert len(states) == rows * len(ViewPlan(WIDE).hops)
    assert STATE_BYTES * 0.8 < 8 * len(states.words) <= STATE_BYTES
    assert HEADER_BYTES + len(states.to_bytes()) <= MAX_MESSAGE_BYTES


def test_a_source_without_views_has_no_such_bound() -> None:
    assert pack_rows(Only(), "other") >= 1 << 20
