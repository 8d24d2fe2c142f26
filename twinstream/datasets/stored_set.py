"""A training set that lies in a folder, or a part of it, as others read it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from twinstream.datasets.fetching import manifest_at
from twinstream.datasets.pieces import Piece, Share, pieces_of
from twinstream.errors import SettingsError, TrainingSetCorruptError
from twinstream.features.inputs import Inputs
from twinstream.protocol import training_statistics
from twinstream.protocol.training_columns import AT
from twinstream.protocol.training_split import PARTS
from twinstream.protocol.training_statistics import TrainingStatistics

if TYPE_CHECKING:
    from twinstream.datasets.torch_rows import TorchRows

WINDOW_ROWS = 4 * 65_536
"""Rows that are mixed with each other: four groups of a file."""


class Dataset:
    """Rows of one training set, ordered by time: a question with its features as they were known
    at its moment, and its label.
    """

    def __init__(
        self,
        folder: Path,
        part: str = "",
    ) -> None:
        """Raises SettingsError for a folder of something else, or a part that there is not."""
        if part and part not in PARTS:
            raise SettingsError(f"there is no part {part!r}: say {', '.join(PARTS)}, or nothing")
        self.folder = folder
        self.part = part
        self.manifest = manifest_at(folder)

    def __len__(self) -> int:
        """Rows of the part."""
        return len(self.manifest.range_of(self.part))

    def __repr__(self) -> str:
        manifest = self.manifest
        rows = f"{len(self)} rows" + (f" ({self.part})" if self.part else "")
        return f"<{manifest.model} as of epoch {manifest.epoch}: {rows}, {manifest.digest[:12]}>"

    def of(
        self,
        part: str,
    ) -> Dataset:
        """Another part of the same set."""
        return Dataset(self.folder, part)

    @property
    def paths(self) -> list[Path]:
        """Of all files, in the order of time."""
        return [self.folder / file.name for file in self.manifest.files]

    @property
    def inputs(self) -> Inputs:
        """The model's inputs, in the order in which its network takes them."""
        return self.manifest.inputs

    @cached_property
    def statistics(self) -> TrainingStatistics:
        """Of the training rows: by input its mean and spread, and each text that it takes."""
        path = self.folder / training_statistics.FILE_NAME
        try:
            return training_statistics.decode(path.read_bytes())
        except (OSError, msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise TrainingSetCorruptError(f"{path} holds no statistics: {error}") from error

    def to_pyarrow(self) -> pads.Dataset:
        """For Arrow, and what reads it: DuckDB, Polars, pandas. Reads nothing yet."""
        whole = pads.dataset([str(path) for path in self.paths], format="parquet")
        only = self._only()
        return whole if only is None else whole.filter(only)

    def to_table(self) -> pa.Table:
        """All rows in memory, in their order."""
        return self.to_pyarrow().to_table()

    def to_torch(
        self,
        batch_rows: int = 1024,
        *,
        shuffle: bool = True,
        seed: int = 0,
        window_rows: int = WINDOW_ROWS,
        share: tuple[int, int] = (0, 1),
    ) -> TorchRows:
        """Batches for PyTorch: `DataLoader(..., batch_size=None, num_workers=...)`.

        Rows are shuffled by reading pieces of files in any order, and mixing those of a window of
        `window_rows`; each pass is another order, the same on every machine. `share`: the rank and
        the number of ranks. All ranks have as many rows; ranks and workers have none in common.
        Raises ValueError for what cannot be.
        """
        from twinstream.datasets.torch_rows import Passing, TorchRows

        how = Passing(
            batch_rows=batch_rows,
            shuffle=shuffle,
            seed=seed,
            window_rows=window_rows,
            share=Share(*share),
        )
        return TorchRows(self, how)

    def to_ray_dataset(
        self,
        **options: Any,
    ) -> Any:
        """For Ray, of its `read_parquet`, which takes the options."""
        from ray import data

        found = data.read_parquet([str(path) for path in self.paths], **options)
        return found.filter(expr=self._condition()) if self.part else found

    def pieces(self) -> list[Piece]:
        """The part's rows, by the groups of the files in which they lie."""
        group_rows = [_group_rows(path) for path in self.paths]
        if sum(map(sum, group_rows)) != self.manifest.rows:
            raise TrainingSetCorruptError(f"the files in {self.folder} have other rows")
        return pieces_of(group_rows, self.manifest.range_of(self.part))

    def _condition(self) -> str:
        """As `_only`, as text."""
        after, until = self.manifest.split.spans_us[self.part]
        bounds = (
            ("" if after is None else f"{AT} > {after}"),
            ("" if until is None else f"{AT} <= {until}"),
        )
        return " and ".join(filter(None, bounds))

    def _only(self) -> pc.Expression | None:
        """The condition that the part's rows meet."""
        if not self.part:
            return None
        after, until = self.manifest.split.spans_us[self.part]
        begins = pc.scalar(value=True) if after is None else pc.field(AT) > after
        return begins if until is None else begins & (pc.field(AT) <= until)


def _group_rows(path: Path) -> list[int]:
    """How many rows each row group of a file has."""
    found = pq.read_metadata(path)
    return [found.row_group(number).num_rows for number in range(found.num_row_groups)]
