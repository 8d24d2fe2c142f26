"""A training set in a folder is read alike by Arrow, PyTorch and the trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.utils.data import DataLoader

import twinstream
from tests.unit.datasets.sets import written
from train_svc.rows import rows_of, split_of
from twinstream.datasets.torch_rows import TensorBatch, TorchRows
from twinstream.errors import SettingsError, TrainingSetCorruptError
from twinstream.protocol.training_columns import AT

SIZES = {"": 1000, "train": 700, "validation": 150, "test": 150}


def joined(batches: list[TensorBatch]) -> TensorBatch:
    return TensorBatch(*(torch.cat(columns) for columns in zip(*batches, strict=True)))


def moments(rows: Any) -> list[int]:
    return [moment for batch in rows for moment in batch.at_us.tolist()]


@pytest.mark.parametrize("part", SIZES)
def test_each_part_has_its_rows(tmp_path: Path, part: str) -> None:
    table = written(tmp_path)
    found = twinstream.dataset(folder=tmp_path, part=part)
    start = {"validation": 700, "test": 850}.get(part, 0)
    assert len(found) == found.to_table().num_rows == SIZES[part]
    assert found.to_table().equals(table.slice(start, SIZES[part]))
    rows = found.to_torch(64, shuffle=False)
    assert moments(rows) == table[AT].to_pylist()[start : start + SIZES[part]]


def test_tensors_are_those_that_the_trainer_learns_from(tmp_path: Path) -> None:
    table = written(tmp_path)
    found = twinstream.dataset(folder=tmp_path)
    statistics = msgspec.to_builtins(found.statistics)
    expected = rows_of(table, found.inputs, statistics)
    rows = joined(list(found.to_torch(64, shuffle=False)))
    torch.testing.assert_close(
        rows.numeric, expected.numeric.float(), equal_nan=True, rtol=0, atol=0
    )
    torch.testing.assert_close(
        rows.sequences, expected.sequences.float(), equal_nan=True, rtol=0, atol=0
    )
    assert torch.equal(rows.categorical, expected.categorical)
    assert torch.equal(rows.label, expected.label.float())
    split = split_of(table, found.inputs, statistics)
    for part in ("train", "validation", "test"):
        assert len(found.of(part)) == len(getattr(split, part))


def test_a_text_that_training_never_saw_is_unknown_and_so_is_null(tmp_path: Path) -> None:
    table = written(tmp_path)
    statistics = tmp_path / "statistics.json"
    given = msgspec.json.decode(statistics.read_bytes())
    given["categories"]["country"].remove("c0")
    statistics.write_bytes(msgspec.json.encode(given))
    found = twinstream.dataset(folder=tmp_path)
    rows = joined(list(found.to_torch(64, shuffle=False)))
    expected = rows_of(table, found.inputs, given)
    assert torch.equal(rows.categorical, expected.categorical)
    assert 0 in rows.categorical


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_pass_has_every_row_once_in_another_order_each_time(tmp_path: Path, workers: int) -> None:
    table = written(tmp_path)
    rows = twinstream.dataset(folder=tmp_path).to_torch(64, window_rows=200)
    passes = []
    for number in (0, 1, 0):
        rows.set_pass(number)
        passes.append(moments(DataLoader(rows, batch_size=None, num_workers=workers)))
    assert passes[0] == passes[2] != passes[1]
    assert sorted(passes[0]) == sorted(passes[1]) == table[AT].to_pylist()
    mixed = np.argsort(passes[0])[:200]  # where the first rows went
    assert mixed.max() - mixed.min() > 400


def test_ranks_have_no_row_in_common_and_as_many_batches(tmp_path: Path) -> None:
    written(tmp_path)
    found = twinstream.dataset(folder=tmp_path)
    ranks = [found.to_torch(64, share=(rank, 3)) for rank in range(3)]
    batches = [list(rank) for rank in ranks]
    assert [len(one) for one in batches] == [rank.batches() for rank in ranks] == [6, 6, 6]
    seen = [moments(one) for one in batches]
    assert [len(one) for one in seen] == [333, 333, 333]
    assert len(set().union(*seen)) == 999


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more workers than cores
@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("used", [0, 1, 5, 7, 16, 99])
def test_an_interrupted_pass_goes_on_where_it_was(tmp_path: Path, used: int, workers: int) -> None:
    written(tmp_path)
    rows = twinstream.dataset(folder=tmp_path).to_torch(64, window_rows=130)

    def passed(begun: int) -> list[list[int]]:
        rows.load_state_dict({"pass": 4, "batches": begun})
        loader = DataLoader(rows, batch_size=None, num_workers=workers)
        return [batch.at_us.tolist() for batch in loader]

    assert passed(used) == passed(0)[used:]
    assert rows.batches(workers) == len(passed(0))


def test_where_a_pass_is_can_be_kept(tmp_path: Path) -> None:
    written(tmp_path)
    rows = twinstream.dataset(folder=tmp_path).to_torch(64)
    rows.set_pass(2)
    going = iter(rows)
    seen = [next(going).at_us.tolist() for _ in range(3)]
    state = rows.state_dict()
    assert state == {"pass": 2, "batches": 3}
    rows.set_pass(2)
    everything = [batch.at_us.tolist() for batch in rows]
    again = twinstream.dataset(folder=tmp_path).to_torch(64)
    again.load_state_dict(state)
    assert seen + [batch.at_us.tolist() for batch in again] == everything


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch_rows": 0},
        {"window_rows": 0},
        {"share": (2, 2)},
        {"share": (-1, 1)},
        {"share": (0, 0)},
        {"seed": -1},
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    written(tmp_path)
    with pytest.raises(ValueError, match=r"rank|at least"):
        twinstream.dataset(folder=tmp_path).to_torch(**wrong)


def test_a_state_that_cannot_be_is_refused(tmp_path: Path) -> None:
    written(tmp_path)
    rows: TorchRows = twinstream.dataset(folder=tmp_path).to_torch()
    with pytest.raises(ValueError, match="at least 0"):
        rows.set_pass(-1)


def test_a_folder_of_something_else_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="holds no training set"):
        twinstream.dataset(folder=tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(TrainingSetCorruptError, match="not the manifest"):
        twinstream.dataset(folder=tmp_path)
    with pytest.raises(SettingsError, match="name a model"):
        twinstream.dataset()
    with pytest.raises(SettingsError, match="name a model"):
        twinstream.dataset("will-buy", folder=tmp_path)


def test_a_part_that_there_is_not_is_told(tmp_path: Path) -> None:
    written(tmp_path)
    with pytest.raises(SettingsError, match="validation"):
        twinstream.dataset(folder=tmp_path, part="tests")


@pytest.mark.parametrize("change", ["gone", "cut"])
def test_a_file_that_is_not_whole_is_told(tmp_path: Path, change: str) -> None:
    written(tmp_path)
    path = tmp_path / "part-00001.parquet"
    path.unlink() if change == "gone" else path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TrainingSetCorruptError, match="part-00001"):
        twinstream.dataset(folder=tmp_path)


def test_an_empty_part_has_no_batch(tmp_path: Path) -> None:
    written(tmp_path, rows=2, files=1)
    found = twinstream.dataset(folder=tmp_path, part="validation")
    assert (len(found), found.to_table().num_rows) == (0, 0)
    assert list(found.to_torch()) == []


def test_arrow_reads_only_what_is_asked_for(tmp_path: Path) -> None:
    table = written(tmp_path)
    found = twinstream.dataset(folder=tmp_path, part="test").to_pyarrow()
    assert isinstance(found.to_table(columns=["_label"]), pa.Table)
    assert found.to_table(columns=["_label"]).equals(table.select(["_label"]).slice(850))
    assert found.count_rows() == 150
