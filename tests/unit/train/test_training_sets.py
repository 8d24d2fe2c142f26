"""A training set is believed only when its files are those that its event pins, and can be read."""

from __future__ import annotations

from hashlib import sha256
from io import BytesIO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.events import FileRef
from tests.unit.train.material import learnable, published, shop, statistics
from train_svc.adapters.s3_training_sets import S3TrainingSets
from twinstream.errors import ObjectMissingError, TrainingSetCorruptError

TABLE = learnable(shop(), rows=20)
GOOD_STATISTICS = msgspec.json.encode(statistics(shop(), TABLE))


class Objects(dict[str, bytes]):
    """S3, as far as it is asked."""

    def get_uri(self, uri: str, version_id: str | None = None) -> bytes:
        try:
            return self[uri]
        except KeyError:
            raise ObjectMissingError(uri) from None


def parquet(table: pa.Table) -> bytes:
    data = BytesIO()
    pq.write_table(table, data)
    return data.getvalue()


def read(
    *files: bytes, given: bytes = GOOD_STATISTICS, rows: int = 20, pinned: str = ""
) -> pa.Table:
    objects = Objects({f"s3://w/{i}": data for i, data in enumerate(files)} | {"s3://w/s": given})
    refs = tuple(
        FileRef(uri=f"s3://w/{i}", sha256=pinned or sha256(data).hexdigest())
        for i, data in enumerate(files)
    )
    event = published(shop(), TABLE, files=refs, uri="s3://w/s")
    event = msgspec.structs.replace(event, rows=rows)
    return S3TrainingSets(objects).read(event).table  # type: ignore[arg-type]


GOOD = parquet(TABLE)


def test_the_files_become_one_table_in_their_order() -> None:
    halves = parquet(TABLE.slice(0, 7)), parquet(TABLE.slice(7))
    assert read(*halves).equals(TABLE)


def test_files_that_differ_from_their_event_are_refused() -> None:
    with pytest.raises(TrainingSetCorruptError, match="its event says"):
        read(GOOD, pinned="0" * 64)
    with pytest.raises(TrainingSetCorruptError, match="21 rows"):
        read(GOOD, rows=21)
    with pytest.raises(TrainingSetCorruptError, match="without columns _label"):
        read(parquet(TABLE.drop_columns(["_label"])))
    with pytest.raises(TrainingSetCorruptError, match="no files"):
        read(rows=0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PAR1",
        GOOD[:-9],
        GOOD[:-40] + bytes(40),
        GOOD[:4] + bytes(2000) + GOOD[2004:],
        b"\x00" * 5000,
    ],
)
def test_files_that_cannot_be_read_are_refused_as_such(data: bytes) -> None:
    with pytest.raises(TrainingSetCorruptError, match="seal an epoch"):
        read(data)
    with pytest.raises(TrainingSetCorruptError, match="seal an epoch"):
        read(GOOD, data, rows=40)


@pytest.mark.parametrize(
    "given",
    [b"", b"[]", b"\xff", b"{}", b"[" * 100_000, b'{"numeric":1,"categories":{},"sequences":{}}'],
)
def test_statistics_that_are_none_are_refused(given: bytes) -> None:
    with pytest.raises(TrainingSetCorruptError, match="s3://w/s"):
        read(GOOD, given=given)
