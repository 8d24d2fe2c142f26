"""Parquet tables by name, on a local disk or on S3 alike."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pa_parquet

from twinstream.mesh.object_store import ObjectStore, split_uri
from twinstream.mesh.ranged_file import RangedFile
from twinstream.mesh.settings import MeshSettings


class Files:
    """Reads and writes; made in the process that uses it."""

    def __init__(self, mesh: MeshSettings, store: ObjectStore | None = None) -> None:
        self._mesh = mesh
        self._made = store

    @property
    def store(self) -> ObjectStore:
        """Made when it is first needed: local files want none."""
        self._made = self._made or ObjectStore(self._mesh)
        return self._made

    def below(self, folder: str) -> list[str]:
        """All files below a folder, in the order of their names."""
        if is_s3(folder):
            bucket, prefix = split_uri(folder.rstrip("/") + "/")
            return [f"s3://{bucket}/{key}" for key in self.store.list(bucket, prefix)]
        return sorted(str(path) for path in Path(folder).rglob("*") if path.is_file())

    def open(self, name: str) -> Any:
        """A seekable file to read, or the path of one."""
        if not is_s3(name):
            return name
        return RangedFile(self.store, name, self.store.head_uri(name).size_bytes)

    def put(self, name: str, data: bytes) -> None:
        """A whole file, replaced where there is one."""
        if is_s3(name):
            self.store.put(*split_uri(name), data)
            return
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def read(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """A table that `write` wrote."""
        given = pa.BufferReader(self.store.get_uri(name)) if is_s3(name) else name
        return pa_parquet.read_table(given, columns=columns, use_threads=False, partitioning=None)

    def write(
        self,
        name: str,
        table: pa.Table,
        *,
        kept: bool,
    ) -> tuple[int, str]:
        """A table; returns its size in bytes and its SHA-256. `kept`: small rather than fast."""
        sink = pa.BufferOutputStream()
        pa_parquet.write_table(
            table,
            sink,
            compression="zstd" if kept else "lz4",
            use_dictionary=kept,
            write_statistics=kept,
        )
        data = sink.getvalue().to_pybytes()
        self.put(name, data)
        return len(data), hashlib.sha256(data).hexdigest()


def is_s3(name: str) -> bool:
    """Whether this names an object, not a path."""
    return "://" in name


def for_spark(name: str) -> str:
    """As Spark's readers take it."""
    return name.replace("s3://", "s3a://", 1) if is_s3(name) else f"file://{Path(name).absolute()}"
