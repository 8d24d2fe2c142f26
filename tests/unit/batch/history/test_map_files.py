"""Files of the history are read by ranges: all rows of the wanted columns, and nothing is taken for
granted.
"""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from preprocess_svc.batch.history import map_files
from preprocess_svc.batch.history.map_files import read
from twinstream.mesh.object_store import ObjectHead
from twinstream.mesh.ranged_file import RangedFile

TABLE = pa.table(
    {
        "n": range(30_000),
        "name": [str(i) for i in range(30_000)],
        "list": [[float(i)] for i in range(30_000)],
    }
)


class Disk:
    """Stands in for S3: URIs are paths."""

    def __init__(self) -> None:
        self.bytes_read = 0

    def head_uri(self, uri: str) -> ObjectHead:
        return ObjectHead(size_bytes=Path(uri).stat().st_size, version_id="", etag="")

    def range_uri(self, uri: str, start: int, length: int, version_id: str | None = None) -> bytes:
        assert version_id is None
        self.bytes_read += length
        found = Path(uri).read_bytes()[start : start + length]
        assert len(found) == length > 0
        return found


@pytest.fixture
def uri(tmp_path: Path) -> str:
    pq.write_table(TABLE, tmp_path / "file.parquet", row_group_size=9_000)
    return str(tmp_path / "file.parquet")


def test_all_rows_of_the_wanted_columns_come(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(map_files, "BATCH_ROWS", 2_000)
    batches = list(read(Disk(), uri, ["list", "n"]))
    assert (
        pa.Table.from_batches(batches).select(["list", "n"]).to_pydict()
        == TABLE.select(["list", "n"]).to_pydict()
    )
    assert max(batch.num_rows for batch in batches) <= 2_000


def test_other_columns_are_not_fetched(uri: str) -> None:
    narrow, wide = Disk(), Disk()
    list(read(narrow, uri, ["n"]))
    list(read(wide, uri, TABLE.column_names))
    assert narrow.bytes_read < wide.bytes_read * 0.7


def test_a_missing_column_is_an_error(uri: str) -> None:
    with pytest.raises(KeyError, match="has no column other"):
        list(read(Disk(), uri, ["n", "other"]))


def test_an_object_is_read_like_a_file(uri: str) -> None:
    whole = Path(uri).read_bytes()
    file = RangedFile(Disk(), uri, len(whole))
    assert (
        file.read(4),
        file.tell(),
        file.seek(-4, io.SEEK_END),
        file.read(100),
        file.read(1),
    ) == (b"PAR1", 4, len(whole) - 4, b"PAR1", b"")
    assert (file.seek(2), file.seek(3, io.SEEK_CUR), file.read()) == (2, 5, whole[5:])
    buffer = bytearray(3)
    assert (
        file.readinto(buffer),
        file.seek(-2, io.SEEK_END),
        file.readinto(buffer),
        bytes(buffer),
    ) == (0, len(whole) - 2, 2, b"R1\0")
