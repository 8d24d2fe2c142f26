"""What one file may cost: seen in its footer, or enforced while it is read."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from twinstream.files.limits import FREE_ROWS, check_rows, limited_memory
from twinstream.files.parquet_rows import check_parquet, read_parquet
from twinstream.files.parts import UnreadableFileError

MIB = 1 << 20


def written(path: Path, **columns: pa.Array) -> Path:
    pq.write_table(pa.table(columns), path, compression="zstd", write_statistics=False)
    return path


def test_a_footer_with_more_rows_than_its_bytes_can_tell_apart_is_refused(tmp_path: Path) -> None:
    rows = FREE_ROWS + 1
    equal = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array(["v"]))
    path = written(tmp_path / "equal", id=equal)
    assert path.stat().st_size < 100_000
    with pytest.raises(UnreadableFileError, match="more than 100 a byte"):
        check_parquet(path, ["id"], 1 << 60)
    check_rows(FREE_ROWS, 1000)
    check_rows(1_000_000_000, 10_000_000)


@pytest.mark.parametrize(("most", "refused"), [(16 * 99_999, True), (16 * 130_000, False)])
def test_only_declared_columns_count_for_what_a_file_expands_to(
    tmp_path: Path, most: int, refused: bool
) -> None:
    zeros, text = pa.array(np.zeros(100_000, np.int64)), pa.array(["x" * 100] * 100_000)
    path = written(tmp_path / "wide", a=zeros, b=zeros, undeclared=text, other=zeros)
    if refused:
        with pytest.raises(UnreadableFileError, match="TWINSTREAM_BATCH_FILE_EXPANDED_BYTES"):
            check_parquet(path, ["a", "b"], most)
    else:
        check_parquet(path, ["a", "b"], most)


def test_a_file_that_wants_too_much_memory_costs_the_file_and_not_the_process(
    tmp_path: Path,
) -> None:
    """A text of eight million letters, named by each of 100,000 rows: 800 GB."""
    texts = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(100_000, np.int32)), pa.array(["x" * (8 * MIB)])
    )
    path = tmp_path / "bomb"
    pq.write_table(pa.table({"page": texts}), path, store_schema=False, write_statistics=False)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    with (
        pytest.raises(UnreadableFileError, match="TWINSTREAM_BATCH_FILE_MEMORY_BYTES"),
        limited_memory(512 * MIB),
    ):
        list(read_parquet(path, ["page"]))
    assert resource.getrlimit(resource.RLIMIT_AS) == limits


def test_what_a_block_raises_by_itself_passes_the_limit() -> None:
    with pytest.raises(KeyError), limited_memory(512 * MIB):
        raise KeyError("mine")
