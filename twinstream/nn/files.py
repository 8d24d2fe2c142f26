"""A trained model as files: safetensors, config and metrics. Nothing here unpickles, and loading checks the digest first."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

import msgspec
import safetensors.torch
import torch
from torch import nn

from twinstream.features.inputs import Inputs
from twinstream.nn.digest import CONFIG, METRICS, WEIGHTS, ModelCorruptError, qualified_name, verify

FORMAT = 1
BINARY = "binary_cross_entropy"


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
    return {"torch": version("torch"), "python": platform.python_version(), "machine": platform.machine()}


def to_files(network: nn.Module, config: ModelConfig, metrics: Mapping[str, float]) -> dict[str, bytes]:
    """File name -> bytes; the same network, config and metrics give the same bytes."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    return {
        WEIGHTS: safetensors.torch.save(state),
        CONFIG: msgspec.json.encode(config, order="deterministic"),
        METRICS: msgspec.json.encode(dict(metrics), order="deterministic"),
    }


def from_files(files: Mapping[str, bytes], digest: str, network_class: Callable[..., Any]) -> Loaded:
    """The model with this digest, in evaluation mode; `network_class` is the definition's, never one that a file names.

    Raises ModelCorruptError when the digest, the class, or a tensor's name or shape does not fit.
    """
    verify(files, digest)
    config = read_config(files[CONFIG])
    if config.network != qualified_name(network_class):
        raise ModelCorruptError(f"model {digest[:12]} was made with {config.network}, the definition names {qualified_name(network_class)}")
    network = network_class(config.inputs, config.statistics, **config.arguments)
    try:
        network.load_state_dict(safetensors.torch.load(files[WEIGHTS]), strict=True)
    except (RuntimeError, safetensors.SafetensorError) as error:
        raise ModelCorruptError(f"the weights of model {digest[:12]} do not fit its network: {error}") from error
    network.eval()
    for parameter in network.parameters():
        parameter.requires_grad_(requires_grad=False)
    return Loaded(network, config)


def read_config(data: bytes) -> ModelConfig:
    """The config in these bytes; raises ModelCorruptError when it is none, or of a later format."""
    try:
        config = msgspec.json.decode(data, type=ModelConfig)
    except msgspec.DecodeError as error:
        raise ModelCorruptError(f"{CONFIG} is not a model's: {error}") from error
    if config.format > FORMAT:
        raise ModelCorruptError(f"{CONFIG} has format {config.format}, this version reads up to {FORMAT}: upgrade twinstream")
    return config


def score(loaded: Loaded, numeric: Any, categorical: Any, sequences: Any) -> Any:
    """float64[n] from numpy arrays as `TabularNetwork.forward` takes them: probabilities, or numbers for other losses."""
    with torch.inference_mode():
        outputs = loaded.network(torch.from_numpy(numeric), torch.from_numpy(categorical), torch.from_numpy(sequences)).double()
        return (torch.sigmoid(outputs) if loaded.config.loss == BINARY else outputs).numpy()
