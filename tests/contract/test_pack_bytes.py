"""Packs and partials keep their byte forms."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import packs, partials

int64 = st.integers(-(2**63), 2**63 - 1)


@given(st.tuples(*[int64] * 11))
def test_pack_header_survives_its_bytes(values: tuple[int, ...]) -> None:
    names = packs.PackHeader.__struct_fields__
    header = packs.PackHeader(**dict(zip(names, values, strict=False)))
    assert packs.decode_header(packs.encode_pack(header, None)) == header


@given(st.tuples(*[int64] * 10))
def test_partial_header_survives_its_bytes(values: tuple[int, ...]) -> None:
    names = partials.PartialHeader.__struct_fields__
    header = partials.PartialHeader(**dict(zip(names, values, strict=True)))
    assert partials.decode_header(partials.encode_header(header)) == header


def test_rows_survive_their_pack() -> None:
    schema = packs.pack_schema([pa.field("name", pa.string())])
    batch = pa.RecordBatch.from_pydict(
        {"_raw": [3, 4], "_known_us": [7, 7], "name": ["a", None]}, schema=schema
    )
    header = packs.PackHeader(kind=packs.PACK, epoch=1, rows=2, raw_first=3, raw_last=4, raw_high=4)
    assert packs.decode_rows(packs.encode_pack(header, batch), schema).equals(batch)


def test_pack_without_rows_reads_as_an_empty_batch() -> None:
    schema = packs.pack_schema([pa.field("name", pa.string())])
    header = packs.PackHeader(kind=packs.PACK, epoch=1, rows=0, raw_first=3, raw_last=4, raw_high=4)
    assert packs.decode_rows(packs.encode_pack(header, None), schema).num_rows == 0


@pytest.mark.parametrize("decode", [packs.decode_header, partials.decode_header])
@pytest.mark.parametrize("data", [b"", b"short", b"x" * 200])
def test_foreign_bytes_are_refused(decode, data: bytes) -> None:
    with pytest.raises(ValueError, match=r"than its header|magic number"):
        decode(data)
