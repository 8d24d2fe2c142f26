"""The network in docs/reference/network.md is trained, kept and served as that page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.train.material import learnable, shop, statistics
from train_svc.handlers import arrays_of
from train_svc.rows import split_of
from train_svc.training import TrainingConfig, fit
from twinstream.features.inputs import Inputs
from twinstream.nn.digest import model_digest, qualified_name
from twinstream.nn.files import ONNX, Loaded, ModelConfig, from_files, score, to_files, with_program
from twinstream.nn.program import Batch

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "network.md"
TRAINING = TrainingConfig(max_epochs=4, batch_size=256, learning_rate=2e-2, threads=1)


@pytest.fixture(scope="module")
def served() -> tuple[Loaded, dict[str, float], Batch]:
    """The network of the page, trained and loaded again; its metrics; rows that it did not see."""
    given = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {"__name__": "documented"}
    exec(given[0], names)
    pipeline, table = shop(), learnable(shop())
    inputs, known = Inputs.of(pipeline.models[0].inputs), statistics(pipeline, table)
    network, metrics = fit(table, inputs, known, TRAINING, network_class=names["Plain"])
    config = ModelConfig(
        model="m",
        network=qualified_name(names["Plain"]),
        arguments={},
        inputs=inputs,
        statistics=known,
    )
    rows = arrays_of(split_of(table, inputs, known).test)
    config, program = with_program(network, config, rows)
    files = to_files(network, config, {}, program)
    return from_files(files, model_digest(files), names["Plain"]), metrics, rows


def test_it_learns(served: tuple[Loaded, dict[str, float], Batch]) -> None:
    assert served[1]["auc"] > 0.6


def test_it_is_served_by_its_program(served: tuple[Loaded, dict[str, float], Batch]) -> None:
    assert served[0].config.runtime == ONNX


def test_a_row_is_answered_for_itself(served: tuple[Loaded, dict[str, float], Batch]) -> None:
    loaded, _, rows = served
    alone = score(loaded, *(part[:1] for part in rows))
    among_others = score(loaded, *(part[:8] for part in rows))
    np.testing.assert_allclose(alone, among_others[:1], rtol=1e-5)
