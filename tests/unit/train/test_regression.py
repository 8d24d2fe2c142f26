"""Numbers are learned untuned, in any unit, about as well as a linear signal allows."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from train_svc.evaluation import unit_of
from train_svc.rows import Rows, rows_of, split_rows
from train_svc.training import TrainingConfig, fit
from twinstream.features.inputs import Inputs
from twinstream.nn import TabularNetwork
from twinstream.nn.digest import CONFIG, ModelCorruptError, model_digest, qualified_name
from twinstream.nn.files import ONNX, ModelConfig, from_files, score, to_files, with_program
from twinstream.nn.target import Target, target_of
from twinstream.protocol.training_columns import LABEL

NAMES = ("a", "b", "c", "d")
INPUTS = Inputs(NAMES)
UNITS = [(1000.0, 100.0), (30.0, 10.0), (250_000.0, 80_000.0), (0.01, 0.002)]


def linear(centre: float, spread: float, rows: int = 1500) -> pa.Table:
    """Labels of which a linear function of the inputs explains three quarters of the variance."""
    rng = np.random.default_rng(11)
    inputs = rng.normal(size=(rows, len(NAMES)))
    signal = inputs @ np.array([1.0, -2.0, 0.5, 0.2])
    signal *= np.sqrt(0.75) / signal.std()
    label = centre + spread * (signal + 0.5 * rng.normal(size=rows))
    columns = {name: inputs[:, i] * 10**i + i for i, name in enumerate(NAMES)}
    return pa.table({**columns, LABEL: label})


def statistics_of(table: pa.Table) -> dict[str, Any]:
    train = table.slice(0, len(split_rows(table, {}).train)).to_pydict()
    numeric = {n: {"mean": float(np.mean(train[n])), "std": float(np.std(train[n]))} for n in NAMES}
    label = {"count": len(train[LABEL]), "mean": float(np.mean(train[LABEL]))}
    return {"numeric": numeric, "categories": {}, "sequences": {}, "label": label}


def least_squares(table: pa.Table) -> float:
    """RMSE on the test rows of the linear function that fits the training rows best."""
    inputs = np.column_stack([*(table[name] for name in NAMES), np.ones(len(table))])
    label = table[LABEL].to_numpy()
    train, test = len(split_rows(table, {}).train), split_rows(table, {}).test.start
    weights = np.linalg.lstsq(inputs[:train], label[:train], rcond=None)[0]
    return float(np.sqrt(np.mean((inputs[test:] @ weights - label[test:]) ** 2)))


@pytest.mark.parametrize("loss", ["mean_squared_error", "mean_absolute_error"])
@pytest.mark.parametrize(("centre", "spread"), UNITS)
def test_an_untuned_network_is_about_as_good_as_least_squares(
    centre: float, spread: float, loss: str
) -> None:
    table = linear(centre, spread)
    config = TrainingConfig(loss=loss, threads=1)
    _, metrics = fit(table, INPUTS, statistics_of(table), config)
    assert metrics["rmse"] <= 1.1 * least_squares(table)


def test_answers_are_in_the_labels_own_unit_in_pytorch_and_in_the_program() -> None:
    table = linear(250_000, 80_000)
    statistics = statistics_of(table)
    config = TrainingConfig(loss="mean_squared_error", threads=1)
    network, metrics = fit(table, INPUTS, statistics, config)
    train, test = len(split_rows(table, {}).train), split_rows(table, {}).test.start
    unseen = rows_of(table.slice(test), INPUTS, statistics)
    made_with = ModelConfig(
        model="m",
        network=qualified_name(TabularNetwork),
        arguments={},
        inputs=INPUTS,
        statistics=statistics,
        loss=config.loss,
        target=target_of(table[LABEL].to_numpy()[:train]),
    )
    batch = (unseen.numeric.numpy(), unseen.categorical.numpy(), unseen.sequences.numpy())
    made_with, program = with_program(network, made_with, batch)
    assert made_with.runtime == ONNX
    files = to_files(network, made_with, metrics, program)
    model = from_files(files, model_digest(files), TabularNetwork)
    for served in (model, msgspec.structs.replace(model, program=None)):
        error = score(served, *batch) - unseen.label.numpy()
        assert np.sqrt(np.mean(error**2)) == pytest.approx(metrics["rmse"], rel=1e-3)


@pytest.mark.parametrize(
    ("labels", "target"),
    [
        ([1.0, 3.0], Target(2.0, 1.0)),
        ([5.0, 5.0], Target(5.0, 1.0)),
        ([-1e300, 1e300], Target(0.0, 1.0)),
    ],
)
def test_a_unit_is_the_spread_where_there_is_one(labels: list[float], target: Target) -> None:
    assert target_of(np.array(labels)) == target


def test_a_binary_label_keeps_its_logits() -> None:
    assert unit_of(Rows(*[None] * 4), "binary_cross_entropy") == Target()  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [0.0, -1.0])
def test_a_config_with_no_unit_is_refused(scale: float) -> None:
    config = ModelConfig(
        model="m",
        network=qualified_name(TabularNetwork),
        arguments={},
        inputs=INPUTS,
        statistics=statistics_of(linear(0, 1)),
        target=Target(0.0, scale),
    )
    files = to_files(TabularNetwork(INPUTS, config.statistics), config, {})
    with pytest.raises(ModelCorruptError, match=CONFIG):
        from_files(files, model_digest(files), TabularNetwork)
