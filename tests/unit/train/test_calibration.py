"""A network that is too sure, or not sure enough, answers as sure as it should be; served too."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from schemas.events import ModelTrained
from tests.unit.train.fakes import Mesh
from tests.unit.train.material import learnable, statistics
from train_svc import evaluation
from train_svc.calibration import HOTTEST, smoothed, temperature
from train_svc.ports import TrainingSet
from train_svc.rows import Split, split_of
from train_svc.scores import BINS, auc, binary, bins_of, calibration_error
from twinstream.define.network import network_of
from twinstream.features.inputs import Inputs
from twinstream.nn.digest import CONFIG, ModelCorruptError, model_digest
from twinstream.nn.files import Loaded, from_files, score
from twinstream.nn.tabular import TabularNetwork
from twinstream.nn.target import Target

TIMES = 6.0
"""So much too sure is the network below."""


class TooSure(TabularNetwork):
    """Learns as its parent does, and exaggerates when it is asked."""

    def forward(self, numeric: Tensor, categorical: Tensor, sequences: Tensor) -> Tensor:
        found = super().forward(numeric, categorical, sequences)
        return found if self.training else TIMES * found


def drawn(rows: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels that are as likely as they say."""
    dice = np.random.default_rng(seed)
    logits = dice.normal(-0.5, 1.5, rows)
    return logits, (dice.random(rows) < 1 / (1 + np.exp(-logits))).astype(np.float64)


def probability(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize("times", [0.25, 1.0, 4.0])
def test_the_temperature_undoes_what_logits_were_multiplied_by(times: float) -> None:
    logits, label = drawn(50_000)
    assert temperature(times * logits, label) == pytest.approx(times, rel=0.03)


def test_the_temperature_has_the_least_loss() -> None:
    """Of the smoothed labels, as a search that knows no derivative finds it."""
    logits, label = drawn(400)
    likely = smoothed(label)

    def loss(heat: float) -> float:
        sure = probability(3 * logits / heat)
        return float(-(likely * np.log(sure) + (1 - likely) * np.log(1 - sure)).mean())

    found = minimize_scalar(loss, bounds=(1 / HOTTEST, HOTTEST), method="bounded")
    assert temperature(3 * logits, label) == pytest.approx(found.x, rel=1e-3)


def test_a_few_rows_that_are_split_apart_make_nobody_sure() -> None:
    """Forty of each: one of 42 is left to chance, however sure the network could be."""
    logits, label = np.repeat([-1.0, 1.0], 40), np.repeat([0.0, 1.0], 40)
    assert probability(logits / temperature(logits, label)).max() == pytest.approx(41 / 42)


@pytest.mark.parametrize("rows", [30, 100, 1000])
def test_a_network_as_sure_as_it_should_be_is_mostly_left_as_it_is(rows: int) -> None:
    """One of twenty is changed by chance, as a test at 95 % does."""
    found = [temperature(*drawn(rows, seed)) for seed in range(400)]
    assert np.mean(np.array(found) != 1.0) < 0.08


def test_logits_that_say_the_opposite_become_as_even_as_may_be() -> None:
    logits, label = drawn(1000)
    assert temperature(-logits, label) == pytest.approx(HOTTEST)


def test_bins_hold_as_many_rows_each_and_equal_rows_share_one() -> None:
    assert np.bincount(bins_of(np.random.default_rng(1).random(3000))).tolist() == [200] * BINS
    halves = bins_of(np.repeat([0.2, 0.7], 50))
    assert (len(set(halves[:50])), len(set(halves[50:])), len(set(halves))) == (1, 1, 2)


def test_the_calibration_error_is_the_mean_distance_of_said_and_seen() -> None:
    """0.2 is said where 0.5 is seen, and 0.7 where all are: 0.3 each."""
    label = np.concatenate([np.tile([0.0, 1.0], 25), np.ones(50)])
    assert calibration_error(label, np.repeat([0.2, 0.7], 50)) == pytest.approx(0.3)
    assert calibration_error(label, label) == 0.0


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelTrained, Mesh]:
    folder: Path = tmp_path_factory.mktemp("calibrated")
    search = {"width": 16, "learning_rate": 1e-2}
    mesh = Mesh(folder, network=network_of(TooSure), search=search)
    table = learnable(mesh.pipeline)
    mesh.sets.found = TrainingSet(table, statistics(mesh.pipeline, table))
    mesh.settings = msgspec.structs.replace(mesh.settings, max_epochs=4)
    mesh.land(1)
    found = mesh.run(mesh.service())[0]
    assert isinstance(found, ModelTrained)
    return found, mesh


def loaded(trained: tuple[ModelTrained, Mesh]) -> tuple[Loaded, Split]:
    event, mesh = trained
    model = mesh.pipeline.models[0]
    table, known = mesh.sets.found.table, mesh.sets.found.statistics
    files = mesh.kept.files[event.model_digest]
    served = from_files(files, event.model_digest, model.network)
    return served, split_of(table, Inputs.of(model.inputs), known)


def test_a_network_that_is_too_sure_is_calibrated(trained: tuple[ModelTrained, Mesh]) -> None:
    """Of 40 rows a bin, chance alone makes an error of about 0.05."""
    found = trained[0].metrics
    assert found["temperature"] == pytest.approx(TIMES, rel=0.25)
    assert found["uncalibrated_ece"] > 0.14 > 0.07 > found["ece"]
    assert found["brier"] < found["uncalibrated_brier"] - 0.02
    assert found["log_loss"] < found["uncalibrated_log_loss"] - 0.1


def test_its_ranking_is_unchanged(trained: tuple[ModelTrained, Mesh]) -> None:
    served, split = loaded(trained)
    given = evaluation.outputs(served.network, split.test).numpy()
    assert trained[0].metrics["auc"] == auc(split.test.label.numpy(), given)


def test_serving_answers_what_was_measured_by_its_program_and_by_pytorch(
    trained: tuple[ModelTrained, Mesh],
) -> None:
    served, split = loaded(trained)
    rows = split.test
    given = (rows.numeric.numpy(), rows.categorical.numpy(), rows.sequences.numpy())
    assert served.program is not None
    for one in (served, msgspec.structs.replace(served, program=None)):
        found = binary(rows.label.numpy(), score(one, *given))
        for name in ("ece", "brier", "log_loss", "auc"):
            assert found[name] == pytest.approx(trained[0].metrics[name], abs=1e-3)


def test_the_temperature_is_part_of_the_digest(trained: tuple[ModelTrained, Mesh]) -> None:
    event, mesh = trained
    files = dict(mesh.kept.files[event.model_digest])
    config = msgspec.json.decode(files[CONFIG])
    assert (1 / config["target"]["scale"], config["format"]) == (event.metrics["temperature"], 2)
    config["target"]["scale"] *= 2
    files[CONFIG] = msgspec.json.encode(config)
    assert model_digest(files) != event.model_digest
    network = mesh.pipeline.models[0].network
    with pytest.raises(ModelCorruptError, match="program"):
        from_files(files, model_digest(files), network)


def test_numbers_keep_their_unit() -> None:
    given = torch.tensor([1.0, -1.0], dtype=torch.float64)
    unit = Target(250_000.0, 80_000.0)
    assert evaluation.in_unit(given, "mean_squared_error", unit).tolist() == [330_000, 170_000]
