"""The canonical text of a record's key or id, and whether it may be one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinstream.define.key_length import LONGEST_KEY
from twinstream.errors import Reason

SEPARATOR = "\x1f"
LONGEST_NUMBER = 21
"""Bytes of a part that is not text, with the separator before it."""


def key_text(batch: pa.RecordBatch, fields: Sequence[str]) -> pa.Array:
    """Canonical text of a key or id of one or more fields; null where a part is null."""
    parts = [batch.column(name).cast(pa.string()) for name in fields]
    return parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, SEPARATOR)


def refuse_bad_keys(
    batch: pa.RecordBatch, fields: tuple[str, ...], broken: dict[int, Reason]
) -> None:
    """Keys must not be too long, and the parts of a joined one must not hold the separator."""
    if _bytes_at_most(batch, fields) > LONGEST_KEY:
        _refuse_long(batch, fields, broken)
    for name in fields if len(fields) > 1 else ():
        column = batch.column(name)
        if pa.types.is_string(column.type):
            _refuse_separator(name, column, broken)


def _refuse_long(batch: pa.RecordBatch, fields: tuple[str, ...], broken: dict[int, Reason]) -> None:
    what = f"the key is longer than {LONGEST_KEY} bytes"
    long = pc.greater(pc.binary_length(key_text(batch, fields)), LONGEST_KEY)
    for row in _rows_of(long):
        broken.setdefault(row, Reason.of("+".join(fields), what))


def _refuse_separator(name: str, column: pa.Array, broken: dict[int, Reason]) -> None:
    what = "holds the character U+001F, which separates the parts of a key"
    holds = pc.match_substring(column, SEPARATOR)
    if pc.any(holds).as_py():
        for row in _rows_of(holds):
            broken.setdefault(row, Reason.of(name, what))


def _rows_of(condition: pa.Array) -> list[int]:
    """Where it is true."""
    true = condition.fill_null(False).to_numpy(zero_copy_only=False)
    rows: list[int] = np.flatnonzero(true).tolist()
    return rows


def _bytes_at_most(batch: pa.RecordBatch, fields: tuple[str, ...]) -> int:
    """An upper bound of a key's length."""
    strings = [batch.column(name) for name in fields if pa.types.is_string(batch.column(name).type)]
    return sum(_longest(s) for s in strings) + LONGEST_NUMBER * len(fields)


def _longest(text: pa.Array) -> int:
    """Bytes of the longest text, or more where some are null; read from the array's bounds,
    as kernels cost more than that in small batches.
    """
    if not len(text):
        return 0
    bounds = np.frombuffer(text.buffers()[1], np.int32)[text.offset : text.offset + len(text) + 1]
    return int(np.diff(bounds).max())
