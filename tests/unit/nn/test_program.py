"""A network's ONNX program answers as the network does, in every batch shape, or the network is
served without one.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from twinstream.features.inputs import Inputs
from twinstream.nn import TabularNetwork
from twinstream.nn.digest import CONFIG, PROGRAM, ModelCorruptError, model_digest, qualified_name
from twinstream.nn.files import (
    BINARY,
    ONNX,
    TORCH,
    ModelConfig,
    from_files,
    score,
    to_files,
    with_program,
)
from twinstream.nn.program import Batch
from twinstream.protocol.batch_shapes import SHAPES

INPUTS = Inputs(("a", "b", "c"), ("x", "y"), (("s", 3), ("t", 5)))
STATISTICS: dict[str, Any] = {
    "numeric": {"a": {"mean": 1.0, "std": 2.0}, "b": {"mean": -3.0, "std": 0.5}},
    "categories": {"x": ["1", "2"], "y": []},
    "sequences": {"s": {"mean": 0.0, "std": 3.0}},
    "label": {"mean": 0.2},
}


def rows(n: int, inputs: Inputs = INPUTS, seed: int = 1) -> Batch:
    rng = np.random.default_rng(seed)
    numeric = rng.normal(size=(n, len(inputs.numeric))) * 100
    numeric[rng.random(numeric.shape) < 0.3] = np.nan
    sequences = rng.normal(size=(n, len(inputs.sequences), inputs.longest))
    sequences[rng.random(sequences.shape) < 0.3] = np.nan
    return numeric, rng.integers(0, 1, (n, len(inputs.categorical))), sequences


def trained(
    network_class: Any = TabularNetwork, loss: str = BINARY, inputs: Inputs = INPUTS
) -> Any:
    """(config, files) of a network with some weights."""
    torch.manual_seed(3)
    network = network_class(inputs, STATISTICS)
    for weights in network.parameters():
        nn.init.normal_(weights, std=0.2)
    config = ModelConfig(
        model="m",
        network=qualified_name(network_class),
        arguments={},
        inputs=inputs,
        statistics=STATISTICS,
        loss=loss,
    )
    config, program = with_program(network.eval(), config, rows(300, inputs))
    return config, to_files(network, config, {}, program)


def loaded(network_class: Any, files: dict[str, bytes]) -> Any:
    return from_files(files, model_digest(files), network_class)


@pytest.mark.parametrize("loss", [BINARY, "mean_squared_error"])
@pytest.mark.parametrize(
    "inputs",
    [
        INPUTS,
        Inputs(("a",)),
        Inputs((), ("x",)),
        Inputs((), (), (("s", 1),)),
        Inputs(("a", "b"), (), (("s", 4),)),
    ],
)
def test_a_program_answers_as_its_network_in_every_shape(inputs: Inputs, loss: str) -> None:
    config, files = trained(loss=loss, inputs=inputs)
    assert (config.runtime, config.runtime_reason) == (ONNX, "")
    model = loaded(TabularNetwork, files)
    eager = msgspec.structs.replace(model, program=None)
    for shape in SHAPES:
        given = rows(shape, inputs, seed=shape)
        np.testing.assert_allclose(score(model, *given), score(eager, *given), rtol=1e-4, atol=1e-6)


def test_the_same_rows_in_the_same_shape_give_the_same_bytes_after_loading_again() -> None:
    files = trained()[1]
    first, second = loaded(TabularNetwork, files), loaded(TabularNetwork, files)
    for shape in SHAPES:
        given = rows(shape)
        assert score(first, *given).tobytes() == score(second, *given).tobytes()


def test_a_row_has_the_same_score_whatever_stands_in_the_other_rows() -> None:
    model = loaded(TabularNetwork, trained()[1])
    for shape in SHAPES[1:]:
        numeric, codes, steps = rows(shape)
        alone = [np.zeros_like(part) for part in (numeric, codes, steps)]
        place = shape // 2
        for part, whole in zip(alone, (numeric, codes, steps), strict=True):
            part[place] = whole[place]
        assert score(model, *alone)[place] == score(model, numeric, codes, steps)[place]


class Branching(nn.Module):
    """What it does depends on values, which a traced program does not see."""

    def __init__(self, inputs: Any, statistics: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, numeric: Tensor, categorical: Tensor, sequences: Tensor) -> Tensor:
        values = torch.nan_to_num(numeric).sum(1) * self.weight
        return values if float(values[0]) > 0 else values * 3


class Looping(Branching):
    """It makes a constant of the number of rows."""

    def forward(self, numeric: Tensor, categorical: Tensor, sequences: Tensor) -> Tensor:
        rows = [torch.nan_to_num(numeric[i]).sum() for i in range(len(numeric))]
        return torch.stack(rows) * self.weight


class Foreign(Branching):
    """It leaves PyTorch."""

    def forward(self, numeric: Tensor, categorical: Tensor, sequences: Tensor) -> Tensor:
        found = np.nan_to_num(numeric.detach().numpy()).sum(1)
        return torch.from_numpy(found) * self.weight


class Unknown(Branching):
    """ONNX does not have what it computes."""

    def forward(self, numeric: Tensor, categorical: Tensor, sequences: Tensor) -> Tensor:
        return torch.special.bessel_j1(torch.nan_to_num(numeric)).sum(1) * self.weight


@pytest.mark.parametrize("network", [Branching, Looping, Foreign, Unknown])
def test_a_network_without_a_true_program_is_served_by_torch(network: Any) -> None:
    config, files = trained(network)
    assert config.runtime == TORCH
    assert config.runtime_reason
    assert PROGRAM not in files
    model = loaded(network, files)
    assert model.program is None
    assert score(model, *rows(8)).shape == (8,)


def test_a_program_of_other_weights_is_refused() -> None:
    files, (_, others) = trained()[1], trained(loss="mean_squared_error")
    with pytest.raises(ModelCorruptError, match="differs from it"):
        loaded(TabularNetwork, {**files, PROGRAM: others[PROGRAM]})


@pytest.mark.parametrize("data", [b"", b"torn", b"\x00" * 1000])
def test_a_program_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(ModelCorruptError, match="the program of model"):
        loaded(TabularNetwork, {**trained()[1], PROGRAM: data})


def test_a_torn_program_is_refused() -> None:
    files = trained()[1]
    for cut in (1, 100, len(files[PROGRAM]) // 2, len(files[PROGRAM]) - 1):
        with pytest.raises(ModelCorruptError):
            loaded(TabularNetwork, {**files, PROGRAM: files[PROGRAM][:cut]})


def test_a_model_has_its_program_exactly_when_its_config_says_so() -> None:
    config, files = trained()
    without = {name: data for name, data in files.items() if name != PROGRAM}
    with pytest.raises(ModelCorruptError, match="is missing"):
        loaded(TabularNetwork, without)
    plain = msgspec.json.encode(
        msgspec.structs.replace(config, runtime=TORCH), order="deterministic"
    )
    with pytest.raises(ModelCorruptError, match="is there"):
        loaded(TabularNetwork, {**files, CONFIG: plain})
    assert loaded(TabularNetwork, {**without, CONFIG: plain}).program is None


def test_the_program_decides_the_digest() -> None:
    files = trained()[1]
    assert model_digest(files) != model_digest({**files, PROGRAM: files[PROGRAM] + b"\x00"})
