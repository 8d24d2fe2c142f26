"""A training set in a folder, as an export leaves it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.unit.train.material import learnable, shop, statistics
from twinstream.features.inputs import Inputs
from twinstream.protocol import training_manifest, training_statistics
from twinstream.protocol.training_columns import AT
from twinstream.protocol.training_manifest import (
    ManifestColumn,
    ManifestFile,
    TrainingManifest,
    spans_of,
)
from twinstream.protocol.training_split import Split

GROUP_ROWS = 70


def written(folder: Path, rows: int = 1000, files: int = 3, seed: int = 7) -> pa.Table:
    """The rows of a set that is in the folder now."""
    table = learnable(shop(), rows=rows, seed=seed)
    given = statistics(shop(), table)
    bounds = [rows * number // files for number in range(files + 1)]
    listed = [
        written_file(folder / f"part-{number:05d}.parquet", table.slice(start, stop - start))
        for number, (start, stop) in enumerate(zip(bounds, bounds[1:], strict=False))
    ]
    data = msgspec.json.encode(given)
    (folder / training_statistics.FILE_NAME).write_bytes(data)
    document = training_manifest.encode(manifest(table, listed, given["split"]))
    (folder / training_manifest.FILE_NAME).write_bytes(document)
    return table


def written_file(path: Path, table: pa.Table) -> ManifestFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=GROUP_ROWS)
    data = path.read_bytes()
    return ManifestFile(
        name=path.name,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        rows=table.num_rows,
    )


def manifest(
    table: pa.Table, files: list[ManifestFile], split_us: dict[str, int]
) -> TrainingManifest:
    at, counts = np.unique(table[AT].to_numpy(), return_counts=True)
    split = msgspec.convert(split_us, Split)
    return TrainingManifest(
        pipeline="shop",
        model="will-buy",
        epoch=3,
        as_of_us=int(at[-1]),
        definition_digest=shop().digest,
        digest="5" * 64,
        rows=table.num_rows,
        first_at_us=int(at[0]),
        last_at_us=int(at[-1]),
        split=split,
        parts=spans_of(split, at, counts),
        columns=[
            ManifestColumn(name=field.name, type=str(field.type), nulls=column.null_count)
            for field, column in zip(table.schema, table.columns, strict=True)
        ],
        inputs=Inputs.of(shop().models[0].inputs),
        files=files,
    )
