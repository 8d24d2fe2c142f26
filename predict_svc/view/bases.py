"""Fetches a batch view's file of one partition and loads it into an LMDB file that never changes
and is never seen half.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

import lmdb
import pyarrow as pa
import pyarrow.parquet as pq

from predict_svc.view import environments
from predict_svc.view.errors import BaseRefusedError
from predict_svc.view.layout import Base, base_of
from schemas.events import FileRef, ViewPublished
from twinstream.mesh.object_store import sha256_of
from twinstream.protocol.base_columns import BLOB, KEY

MAP_BYTES = 1 << 38  # address space while a base is loaded; the file takes what it needs


class Objects(Protocol):
    """Where base files come from."""

    def download(self, uri: str, path: str | Path, version_id: str | None = None) -> None: ...


def file_name(epoch: int) -> str:
    """The LMDB file of an epoch's base."""
    return f"base-{epoch:08d}.lmdb"


def fetch(objects: Objects, published: ViewPublished, partition: int, folder: Path) -> Base:
    """Load the base into `folder`; raises BaseRefusedError when the file is missing in the manifest
    or not what it says.
    """
    ref = next((f for f in published.files if f.partition == partition), None)
    if ref is None:
        raise BaseRefusedError(
            f"view {published.view}, epoch {published.epoch}: "
            f"the manifest has no file of partition {partition}"
        )
    name = file_name(published.epoch)
    parquet, part = (
        folder / f"{name}.{os.getpid()}.{kind}part" for kind in ("parquet.", "")
    )  # another worker may be fetching the same
    try:
        objects.download(ref.uri, parquet, ref.version_id or None)
        check(parquet, ref)
        load(parquet, part)
        part.replace(folder / name)
    finally:
        parquet.unlink(missing_ok=True)
        part.unlink(missing_ok=True)
    return base_of(published, name)


def check(path: Path, ref: FileRef) -> None:
    """Raises BaseRefusedError unless the bytes are those of the manifest."""
    size, digest = path.stat().st_size, sha256_of(path)
    if digest != ref.sha256:
        raise BaseRefusedError(
            f"{ref.uri} has {size} bytes with SHA-256 {digest[:16]}..., "
            f"its manifest says {ref.size_bytes} and {ref.sha256[:16]}...; "
            "the base before it stays in use. Put the original object back, or seal another epoch"
        )


def load(parquet: Path, path: Path) -> None:
    """Write the columns `key` and `blob`, sorted by key, into a new LMDB file;
    raises BaseRefusedError when they are not.
    """
    try:
        file = pq.ParquetFile(parquet)
        missing = {KEY, BLOB} - set(file.schema_arrow.names)
        if missing:
            raise BaseRefusedError(f"{parquet.name} has no columns {sorted(missing)}")
        _write(file, path)
    except (pa.ArrowInvalid, OSError) as error:
        raise BaseRefusedError(f"{parquet.name} cannot be loaded: {error}") from error


def _write(file: pq.ParquetFile, path: Path) -> None:
    environment = lmdb.open(
        str(path), subdir=False, lock=False, sync=False, metasync=False, map_size=MAP_BYTES
    )
    held: list[tuple[bytes, bytes]] = []
    try:
        for batch in file.iter_batches(batch_size=20_000, columns=[KEY, BLOB]):
            pairs = list(
                zip(batch.column(KEY).to_pylist(), batch.column(BLOB).to_pylist(), strict=True)
            )
            if pairs and pairs[0][0] == b"":
                held.append((environments.EMPTY_KEY, pairs.pop(0)[1]))
            _append(environment, pairs, path)
        _append(environment, held, path)
    except lmdb.Error as error:
        raise BaseRefusedError(f"{path}: {error}; is the disk full?") from error
    finally:
        environment.close()


def _append(environment: lmdb.Environment, pairs: list[tuple[bytes, bytes]], path: Path) -> None:
    with environment.begin(write=True) as txn:
        _, added = txn.cursor().putmulti(pairs, append=True)
    if added != len(pairs):
        raise BaseRefusedError(f"{path.name}: keys are not in order, or one comes twice")
