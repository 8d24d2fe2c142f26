"""The columns of a file of a batch view: the batch layer writes them, sorted by key. Pure."""

from __future__ import annotations

import pyarrow as pa

KEY, BLOB = "key", "blob"
"""The view key, and its states as little-endian int64 words."""
BASE_SCHEMA = pa.schema(
    [pa.field(KEY, pa.binary(), nullable=False), pa.field(BLOB, pa.binary(), nullable=False)]
)
