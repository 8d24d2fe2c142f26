"""Fetches a batch view's file of one partition, checks it, and loads it where the view's states are
kept.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from predict_svc.view.errors import BaseRefusedError
from predict_svc.view.layout import EMPTY_KEY, Base, base_of
from predict_svc.view.ports import BaseFiles, BaseLoading
from schemas.events import FileRef, ViewPublished
from twinstream.mesh.object_store import sha256_of
from twinstream.protocol.base_columns import BLOB, KEY

AT_ONCE = 20_000
"""Entries that are read and loaded together."""


def file_name(epoch: int) -> str:
    """The name of an epoch's base."""
    return f"base-{epoch:08d}.lmdb"


def fetch(objects: BaseFiles, published: ViewPublished, partition: int, place: BaseLoading) -> Base:
    """Load the base; raises BaseRefusedError when the file is missing in the manifest
    or not what it says.
    """
    ref = next((f for f in published.files if f.partition == partition), None)
    if ref is None:
        raise BaseRefusedError(
            f"view {published.view}, epoch {published.epoch}: "
            f"the manifest has no file of partition {partition}"
        )
    name = file_name(published.epoch)
    parquet = place.scratch / f"{name}.{os.getpid()}.parquet.part"
    # another worker may be fetching the same
    try:
        objects.download(ref.uri, parquet, ref.version_id or None)
        check(parquet, ref)
        load(parquet, place, name)
    finally:
        parquet.unlink(missing_ok=True)
    return base_of(published, name)


def check(path: Path, ref: FileRef) -> None:
    """Raises BaseRefusedError unless the bytes are those of the manifest."""
    size = path.stat().st_size
    digest = sha256_of(path)
    if digest != ref.sha256:
        raise BaseRefusedError(
            f"{ref.uri} has {size} bytes with SHA-256 {digest[:16]}..., "
            f"its manifest says {ref.size_bytes} and {ref.sha256[:16]}...; "
            "the base before it stays in use. Put the original object back, or seal another epoch"
        )


def load(parquet: Path, place: BaseLoading, name: str) -> None:
    """Load the columns `key` and `blob`, sorted by key; raises BaseRefusedError when they are
    not.
    """
    try:
        file = pq.ParquetFile(parquet)
        missing = {KEY, BLOB} - set(file.schema_arrow.names)
        if missing:
            raise BaseRefusedError(f"{parquet.name} has no columns {sorted(missing)}")
        place.load_base(name, _entries(file))
    except (pa.ArrowInvalid, OSError) as error:
        raise BaseRefusedError(f"{parquet.name} cannot be loaded: {error}") from error


def _entries(file: pq.ParquetFile) -> Iterator[list[tuple[bytes, bytes]]]:
    """(key, blob), the empty key last, as a store has it."""
    held: list[tuple[bytes, bytes]] = []
    for batch in file.iter_batches(batch_size=AT_ONCE, columns=[KEY, BLOB]):
        pairs = list(
            zip(batch.column(KEY).to_pylist(), batch.column(BLOB).to_pylist(), strict=True)
        )
        if pairs and pairs[0][0] == b"":
            held.append((EMPTY_KEY, pairs.pop(0)[1]))
        yield pairs
    yield held
