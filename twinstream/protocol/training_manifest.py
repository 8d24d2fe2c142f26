"""What is published beside a training set, as `manifest.json`: all that says which rows these are.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np

from twinstream.features.inputs import Inputs
from twinstream.protocol.training_split import PARTS, Int64s, Split

FILE_NAME = "manifest.json"


class ManifestColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column of the files: its Arrow type as text, and how many rows have no value."""

    name: str
    type: str
    nulls: int


class ManifestFile(msgspec.Struct, frozen=True, kw_only=True):
    """A Parquet file beside the manifest; the files follow each other in time."""

    name: str
    sha256: str
    size_bytes: int
    rows: int


class TrainingManifest(msgspec.Struct, frozen=True, kw_only=True):
    """A training set. `digest` is of all columns, types and values in their order, whatever the
    files are; `parts`: the first row of each
    part, and the one behind its last.
    """

    pipeline: str
    model: str
    epoch: int
    as_of_us: int
    definition_digest: str
    digest: str
    rows: int
    first_at_us: int
    last_at_us: int
    split: Split
    parts: dict[str, tuple[int, int]]
    columns: list[ManifestColumn]
    inputs: Inputs
    files: list[ManifestFile]

    def range_of(self, part: str) -> range:
        """The numbers of the rows of a part; of all for "". Raises KeyError for another name."""
        return range(*self.parts[part]) if part else range(self.rows)


def spans_of(
    split: Split,
    at_us: Int64s,
    counts: Int64s,
) -> dict[str, tuple[int, int]]:
    """The first row of each part, and the one behind its last. `at_us`: each timestamp once,
    ascending; `counts`: how many rows have it.
    """
    before = np.concatenate([[0], np.cumsum(counts)])
    found = zip(PARTS, split.parts(at_us), strict=True)
    return {part: (int(before[one.start]), int(before[one.stop])) for part, one in found}


def added(nulls: Iterable[list[int]]) -> list[int]:
    """Of each column the rows without a value, from those of the files."""
    return [sum(counts) for counts in zip(*nulls, strict=True)]


def encode(manifest: TrainingManifest) -> bytes:
    """The document; equal manifests give equal bytes."""
    return msgspec.json.encode(manifest, order="sorted")


def decode(data: bytes) -> TrainingManifest:
    """Raises msgspec.MsgspecError, RecursionError or UnicodeDecodeError for anything else."""
    return msgspec.json.decode(data, type=TrainingManifest)
