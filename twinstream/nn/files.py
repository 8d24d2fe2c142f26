"""A trained model as files: safetensors, the ONNX program if there is one, config and metrics.
Nothing here unpickles, and loading checks the digest first.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

import msgspec
import numpy as np
import safetensors.torch
import torch
from torch import nn

from twinstream.errors import NotFiniteError
from twinstream.features.inputs import Inputs
from twinstream.nn import weights
from twinstream.nn.digest import (
    CONFIG,
    METRICS,
    PROGRAM,
    WEIGHTS,
    ModelCorruptError,
    qualified_name,
    verify,
)
from twinstream.nn.program import Answering, Batch, NotExportableError, Program, check, export
from twinstream.nn.target import Target

FORMAT, UNCALIBRATED_FORMAT = 2, 1
"""Before format 2 nobody looked at the unit of a logit."""
BINARY = "binary_cross_entropy"
TORCH, ONNX = "torch", "onnx"
MOST_CONFIG_BYTES = 64 << 20
"""The statistics name every category of a training set."""


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """All that is needed, besides the weights and the network's class, to answer as this model
    did.
    """

    model: str
    network: str
    arguments: dict[str, Any]
    inputs: Inputs
    statistics: dict[str, Any]
    definition_digest: str = ""
    loss: str = BINARY
    target: Target = Target()
    """The unit in which the network answers."""
    training_set_digest: str = ""
    epoch: int = 0
    training: dict[str, Any] = {}
    versions: dict[str, str] = {}
    runtime: str = TORCH
    """What answers: `torch`, or `onnx` by the program that belongs to it."""
    runtime_reason: str = ""
    """Why it is not served by its program; empty when it is."""
    format: int = UNCALIBRATED_FORMAT


def config_format(loss: str, target: Target) -> int:
    """The format that whoever answers by such a config must know."""
    calibrated = loss == BINARY and target != Target()
    return FORMAT if calibrated else UNCALIBRATED_FORMAT


class Loaded(msgspec.Struct, frozen=True):
    """A network ready to answer, and what it was made with."""

    network: Any
    config: ModelConfig
    program: Program | None = None


def versions() -> dict[str, str]:
    """Versions that the last bits of a score depend on."""
    return {
        "torch": version("torch"),
        "onnxruntime": version("onnxruntime"),
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def with_program(
    network: nn.Module, config: ModelConfig, sample: Batch
) -> tuple[ModelConfig, bytes]:
    """The config that says how the model is served, and its program;
    without one, `b""`, the reason is in the config.

    `sample`: rows that the network was not trained on, by which the program is compared with it.
    """
    try:
        data = export(answering_of(network, config), sample)
    except NotExportableError as error:
        return msgspec.structs.replace(config, runtime=TORCH, runtime_reason=str(error)), b""
    return msgspec.structs.replace(config, runtime=ONNX, runtime_reason=""), data


def to_files(
    network: nn.Module, config: ModelConfig, metrics: Mapping[str, float], program: bytes = b""
) -> dict[str, bytes]:
    """File name -> bytes; the same network, config and metrics give the same bytes. `program`:
    of a model that ONNX Runtime serves.

    Raises ModelCorruptError for weights and NotFiniteError for metrics that are not finite.
    """
    weights.refuse_not_finite(network)
    if wrong := [name for name, value in metrics.items() if not math.isfinite(value)]:
        raise NotFiniteError(f"metric {wrong[0]} is {metrics[wrong[0]]}: train again")
    state = {name: _alone(tensor) for name, tensor in network.state_dict().items()}
    served_by = {PROGRAM: program} if config.runtime == ONNX else {}
    return served_by | {
        WEIGHTS: safetensors.torch.save(state),
        CONFIG: msgspec.json.encode(config, order="deterministic"),
        METRICS: msgspec.json.encode(dict(metrics), order="deterministic"),
    }


def _alone(tensor: torch.Tensor) -> torch.Tensor:
    """A copy, because safetensors refuses tensors that share memory, as tied weights do."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def from_files(
    files: Mapping[str, bytes], digest: str, network_class: Callable[..., Any]
) -> Loaded:
    """The model with this digest, in evaluation mode.

    `network_class` is the definition's, never one that a file names. Raises ModelCorruptError when
    the digest, the class, or a tensor's name, shape or value does not fit.
    """
    verify(files, digest)
    config = read_config(files[CONFIG])
    named, wanted = config.network, qualified_name(network_class)
    if named != wanted:
        raise ModelCorruptError(
            f"model {digest[:12]} was made with {named[:200]}, the definition names {wanted}"
        )
    found = weights.shapes(files[WEIGHTS])
    network = _made(network_class, config, digest)
    weights.refuse_other_shapes(found, network.state_dict())
    _fill(network, files[WEIGHTS], digest)
    weights.refuse_not_finite(network)
    network.eval()
    for parameter in network.parameters():
        parameter.requires_grad_(requires_grad=False)
    return Loaded(network, config, _program(files, config, network, digest))


def _program(
    files: Mapping[str, bytes], config: ModelConfig, network: nn.Module, digest: str
) -> Program | None:
    """The program of a model that ONNX Runtime serves; it must answer as the network does,
    whoever wrote it.
    """
    if (config.runtime == ONNX) != (PROGRAM in files):
        raise ModelCorruptError(
            f"model {digest[:12]} is served by {config.runtime}, and"
            f" {PROGRAM} is {'there' if PROGRAM in files else 'missing'}"
        )
    if config.runtime != ONNX:
        return None
    answering = answering_of(network, config)
    try:
        program = Program(files[PROGRAM])
        check(program, answering, _probes(config), (8,))
    except NotExportableError as error:
        raise ModelCorruptError(f"the program of model {digest[:12]}: {error}") from error
    return program


def _probes(config: ModelConfig) -> Batch:
    """Rows of nulls and of plain numbers."""
    inputs = config.inputs
    numeric = np.zeros((3, len(inputs.numeric)))
    codes = np.zeros((3, len(inputs.categorical)), np.int64)
    sequences = np.zeros((3, len(inputs.sequences), inputs.longest))
    numeric[0] = np.nan
    numeric[2] = 7.0
    sequences[0] = np.nan
    sequences[2, :, :1] = np.nan
    return numeric, codes, sequences


def _made(network_class: Callable[..., Any], config: ModelConfig, digest: str) -> nn.Module:
    """The network without its weights; whatever its constructor raises, the model is to blame."""
    try:
        network = network_class(config.inputs, config.statistics, **config.arguments)
    except Exception as error:
        raise ModelCorruptError(
            f"model {digest[:12]}: {config.network} cannot be made from its config: {error}"
        ) from error
    if not isinstance(network, nn.Module):
        raise ModelCorruptError(f"model {digest[:12]}: {config.network} is not a torch.nn.Module")
    return network


def _fill(network: nn.Module, data: bytes, digest: str) -> None:
    try:
        network.load_state_dict(safetensors.torch.load(data), strict=True)
    except (RuntimeError, ValueError, KeyError, safetensors.SafetensorError) as error:
        raise ModelCorruptError(
            f"the weights of model {digest[:12]} do not fit its network: {error}"
        ) from error


def read_config(data: bytes) -> ModelConfig:
    """The config in these bytes; raises ModelCorruptError when it is none, or of a later format."""
    if len(data) > MOST_CONFIG_BYTES:
        raise ModelCorruptError(f"{CONFIG} has {len(data)} bytes, at most {MOST_CONFIG_BYTES}")
    try:
        config = msgspec.json.decode(data, type=ModelConfig)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ModelCorruptError(f"{CONFIG} is not a model's: {error}") from error
    if not (math.isfinite(config.target.centre) and 0 < config.target.scale < math.inf):
        raise ModelCorruptError(f"{CONFIG} has the unit {config.target}, in which nothing is said")
    if config.format > FORMAT:
        raise ModelCorruptError(
            f"{CONFIG} has format {config.format}, this version reads up to {FORMAT}:"
            " upgrade twinstream"
        )
    return config


def score(loaded: Loaded, numeric: Any, categorical: Any, sequences: Any) -> Any:
    """float64[n] from numpy arrays as `TabularNetwork.forward` takes them:
    probabilities, or numbers for other losses.
    """
    if loaded.program is not None:
        return loaded.program(numeric, categorical, sequences)
    given = (torch.from_numpy(part) for part in (numeric, categorical, sequences))
    with torch.inference_mode():
        return answering_of(loaded.network, loaded.config)(*given).numpy()


def answering_of(network: nn.Module, config: ModelConfig) -> Answering:
    """A network with the last step to its answer."""
    return Answering(network, probability=config.loss == BINARY, target=config.target)
