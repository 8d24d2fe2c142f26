"""Each Tuner finds the same. Ray Tune searches in processes of its own, and leaves none behind."""

import shutil
from pathlib import Path

import psutil
import pytest

import twinstream
from tests.unit.datasets.sets import written
from tests.unit.train.material import learnable, shop, statistics
from train_svc.adapters.in_process_tuner import InProcessTuner
from train_svc.adapters.ray_tuner import LONGEST_FOLDER, RayTuner, running_ray, short_folder
from train_svc.ports import Problem
from train_svc.rows import split_of
from train_svc.search import Search
from train_svc.training import TrainingConfig
from twinstream.define import log_uniform
from twinstream.features.inputs import Inputs


@pytest.fixture(scope="module")
def problem() -> Problem:
    pipeline, table = shop(), learnable(shop(), rows=1500)
    inputs, fitted = Inputs.of(pipeline.models[0].inputs), statistics(pipeline, table)
    config = TrainingConfig(max_epochs=2, batch_size=256, threads=1, arguments={"width": 16})
    return Problem(
        split_of(table, inputs, fitted), inputs, fitted, config, pipeline.models[0].network
    )


@pytest.mark.engine
def test_ray_finds_what_the_search_in_process_finds(problem: Problem, tmp_path: Path) -> None:
    first = [{"learning_rate": 1e-6, "width": 16}, {"learning_rate": 1e-2, "width": 16}]
    space = {"learning_rate": log_uniform(1e-6, 1e-2), "width": 16}
    wanted = Search(space=space, trials=2, seed=1, first=first, name="one")
    found = RayTuner("", str(tmp_path), parallel=2).search(problem, wanted)
    expected = InProcessTuner(tmp_path).search(problem, wanted)
    assert found.tuner == "ray"
    assert found.best == expected.best == first[1]
    assert [candidate for candidate, _, _ in found.tried] == first
    assert min(loss for _, loss, _ in found.tried) == pytest.approx(
        min(loss for _, loss, _ in expected.tried), rel=1e-6
    )
    assert [
        p.name()
        for p in psutil.Process().children(recursive=True)
        if "ray" in p.name() or "gcs" in p.name()
    ] == []
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.engine
def test_a_ray_of_its_own_listens_on_loopback_alone(tmp_path: Path) -> None:
    with running_ray("", str(tmp_path), 1):
        here = psutil.Process()
        connections = [
            found
            for process in (here, *here.children(recursive=True))
            for found in process.net_connections("inet")
        ]
        listening = {found.laddr.ip for found in connections if found.status == psutil.CONN_LISTEN}
    assert listening
    assert listening <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


@pytest.mark.engine
def test_ray_reads_the_rows_of_each_part(tmp_path: Path) -> None:
    moments = written(tmp_path / "set")["_at_us"].to_pylist()
    parts = {"": moments, "train": moments[:700], "validation": moments[700:850]}
    with running_ray("", str(tmp_path), 2):
        for part, expected in parts.items():
            found = twinstream.dataset(folder=tmp_path / "set", part=part).to_ray_dataset()
            assert sorted(row["_at_us"] for row in found.take_all()) == expected


def test_rays_folder_is_short_enough_for_its_sockets(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60)
    folder = short_folder(str(deep))
    assert len(str(folder)) <= LONGEST_FOLDER
    again = short_folder(str(deep))
    assert [path.name for path in again.parent.iterdir()] == [again.name]
    shutil.rmtree(again.parent)
