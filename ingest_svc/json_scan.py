"""Plain JSON records straight into columns, beside `twinstream.define.records`, which takes all
that this is not sure of: see `scan_of`.
"""

# It leaves the anatomy because every record passes here; `benchmarks/` has the chain's figures.
# Law: where it is sure, the decoder gives the same.

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest_svc.compiled.records import (
    VALUE,
    JsonTexts,
    ScannedColumns,
    ScannedFields,
    gather_text,
    scan_records,
)
from ingest_svc.compiled.tokens import BOOL, STRING
from twinstream.define.fields.arrays import Stored
from twinstream.define.fields.base import UNSCANNED
from twinstream.define.records import Scan
from twinstream.define.source import Source

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MOST_FIELDS = 62  # bits of a word that say which were seen


def scan_of(source: Source) -> Scan | None:
    """How records of a source are scanned: (stored columns, bool[n]: of which rows it is sure);
    None when it has too many fields, or a type unknown here.

    Sure are objects of scalar values, each field at most once, strings without escapes,
    numbers of at most 18 digits without an exponent and with no more places than the field keeps,
    moments as whole microseconds or as `2013-10-01T12:00:00.123456Z`.
    """
    names = [f'{name}"'.encode() for name in source.fields]
    codes = [kind.scan_code for kind in source.fields.values()]
    if len(names) > MOST_FIELDS or UNSCANNED in codes:
        return None
    ends = np.cumsum([0, *map(len, names)])
    text = np.frombuffer(bytearray(b"".join(names)), np.uint8)
    places = [kind.places for kind in source.fields.values()]
    kinds = np.array(list(zip(codes, places, strict=True)), np.int64)
    fields = ScannedFields(text, ends, kinds)
    types = [kind.arrow for kind in source.fields.values()]

    def scan(values: Sequence[bytes]) -> tuple[list[Stored], Mask]:
        n = len(values)
        joined = bytearray(b"\0").join(
            [*values, b""]
        )  # after each record a byte that is nowhere in one
        starts = np.zeros(n + 1, np.int64)
        np.cumsum(np.fromiter(map(len, values), np.int64, n) + 1, out=starts[1:])
        data, sure = np.frombuffer(joined, np.uint8), np.zeros(n, bool)
        cells, valid = np.empty((len(names), n, 2), np.int64), np.zeros((len(names), n), bool)
        if joined.isascii() or _is_utf8(joined):
            found = ScannedColumns(cells, valid, sure)
            scan_records(JsonTexts(data, starts), fields, found)
        return [
            Stored(_column(kind, int(code), data, cells[f], valid[f]), np.zeros(n, bool))
            for f, (kind, (code, _)) in enumerate(zip(types, kinds, strict=True))
        ], sure

    return scan


def warm_up() -> None:
    """Compile, or load from disk, everything that is called, so that no first record waits."""
    empty, cells = np.zeros(1, np.uint8), np.zeros((1, 1, 2), np.int64)
    nothing, kinds = np.zeros(2, np.int64), np.zeros((1, 2), np.int64)
    found = ScannedColumns(cells, np.zeros((1, 1), bool), np.zeros(1, bool))
    scan_records(JsonTexts(empty, nothing), ScannedFields(empty, nothing, kinds), found)
    gather_text(empty, cells[0], np.zeros(1, bool))


def _is_utf8(data: bytearray) -> bool:
    """Whether all of it is; then so is what lies between two bytes of ASCII."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _column(
    kind: pa.DataType,
    code: int,
    data: Bytes,
    cells: Words,
    valid: Mask,
) -> pa.Array:
    mask = None if valid.all() else ~valid
    if code == STRING:
        text, offsets = gather_text(data, cells, valid)
        bits = None if mask is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
        return pa.Array.from_buffers(
            pa.string(), len(valid), [bits, pa.py_buffer(offsets), pa.py_buffer(text)]
        )
    values = cells[:, VALUE]
    return pa.array(
        values.astype(bool) if code == BOOL else np.ascontiguousarray(values), kind, mask=mask
    )
