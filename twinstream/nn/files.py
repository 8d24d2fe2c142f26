"""A trained model as files: safetensors, config and metrics. Nothing here unpickles, and loading checks the digest first."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

import msgspec
import safetensors.torch
import torch
from torch import nn

from twinstream.errors import NotFiniteError
from twinstream.features.inputs import Inputs
from twinstream.nn import weights
from twinstream.nn.digest import CONFIG, METRICS, WEIGHTS, ModelCorruptError, qualified_name, verify

FORMAT = 1
BINARY = "binary_cross_entropy"
MOST_CONFIG_BYTES = 64 << 20
"""The statistics name every category of a training set."""


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """All that is needed, besides the weights and the network's class, to answer as this model did."""

    model: str
    network: str
    arguments: dict[str, Any]
    inputs: Inputs
    statistics: dict[str, Any]
    definition_digest: str = ""
    loss: str = BINARY
    training_set_digest: str = ""
    epoch: int = 0
    training: dict[str, Any] = {}
    versions: dict[str, str] = {}
    format: int = FORMAT


class Loaded(msgspec.Struct, frozen=True):
    """A network ready to answer, and what it was made with."""

    network: Any
    config: ModelConfig


def versions() -> dict[str, str]:
    """Versions that the last bits of a score depend on."""
    return {
        "torch": version("torch"),
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def to_files(
    network: nn.Module, config: ModelConfig, metrics: Mapping[str, float]
) -> dict[str, bytes]:
    """File name -> bytes; the same network, config and metrics give the same bytes.

    Raises ModelCorruptError for weights and NotFiniteError for metrics that are not finite.
    """
    weights.refuse_not_finite(network)
    if wrong := [name for name, value in metrics.items() if not math.isfinite(value)]:
        raise NotFiniteError(f"metric {wrong[0]} is {metrics[wrong[0]]}: train again")
    state = {name: _alone(tensor) for name, tensor in network.state_dict().items()}
    return {
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
    return Loaded(network, config)


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
    if config.format > FORMAT:
        raise ModelCorruptError(
            f"{CONFIG} has format {config.format}, this version reads up to {FORMAT}:"
            " upgrade twinstream"
        )
    return config


def score(loaded: Loaded, numeric: Any, categorical: Any, sequences: Any) -> Any:
    """float64[n] from numpy arrays as `TabularNetwork.forward` takes them: probabilities, or numbers for other losses."""
    with torch.inference_mode():
        outputs = loaded.network(
            torch.from_numpy(numeric), torch.from_numpy(categorical), torch.from_numpy(sequences)
        ).double()
        return (torch.sigmoid(outputs) if loaded.config.loss == BINARY else outputs).numpy()
