"""Documents of the Open Inference Protocol, version 2."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Datatype = Literal[
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "FP32",
    "FP64",
    "BYTES",
]
Parameters = dict[str, Any]


class ServerMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of `GET /v2`."""

    name: str
    """Of the software."""
    version: str
    """Of the software."""
    extensions: list[str]
    """What it speaks beside the protocol: `binary_tensor_data`."""


class TensorMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """An input or an output of a model."""

    name: str
    """A field of the question, or an output."""
    datatype: Datatype
    """As it is sent or best given."""
    shape: list[int]
    """[-1]: a value for each row."""


class ModelMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of `GET /v2/models/<model>`."""

    name: str
    """The model's."""
    versions: list[str]
    """The release that answers now; empty while none does."""
    platform: str
    """`twinstream`."""
    inputs: list[TensorMetadata]
    """Fields of a question that the model reads."""
    outputs: list[TensorMetadata]
    """What it answers."""


class ModelReady(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of `GET /v2/models/<model>/ready`."""

    name: str
    """The model's."""
    ready: bool
    """Whether a release answers."""


class InputTensor(msgspec.Struct, frozen=True, kw_only=True):
    """A field of the question: a value for each row."""

    name: str
    """The field's, or `<field>.null` for a BOOL tensor that says where it is null."""
    shape: list[int]
    """[n], or [n, 1]."""
    datatype: Datatype
    """Of the values."""
    parameters: Parameters = {}
    """`binary_data_size`: so many bytes behind the JSON are its values."""
    data: list[Any] | None = None
    """Its values, when they are not behind the JSON; null is null."""


class WantedTensor(msgspec.Struct, frozen=True, kw_only=True):
    """An output that is wanted."""

    name: str
    """`prediction` or `prediction_id`."""
    parameters: Parameters = {}
    """`binary_data`: whether its values come behind the JSON."""


class InferRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `POST /v2/models/<model>/infer`."""

    inputs: list[InputTensor]
    """The fields that are given, all with the same count of values."""
    id: str = ""
    """Given back in the answer."""
    parameters: Parameters = {}
    """`at`, `max_staleness_ms`, and `min_position` as JSON text, as in a `PredictBody`;
    `binary_data_output`. Others are passed over.
    """
    outputs: list[WantedTensor] = []
    """Those that are wanted; not given: all."""


class OutputTensor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An output: a value for each row."""

    name: str
    """`prediction`: a probability or a number. `prediction_id`: what it can be rebuilt by."""
    shape: list[int]
    """[n]."""
    datatype: Datatype
    """FP64 or BYTES."""
    parameters: Parameters = {}
    """`binary_data_size`: so many bytes behind the JSON are its values."""
    data: list[Any] | None = None
    """Its values, when they are not behind the JSON."""


class InferAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Answer of `POST /v2/models/<model>/infer`."""

    model_name: str
    """The model's."""
    model_version: str
    """The release that answered."""
    outputs: list[OutputTensor]
    """In the order in which they were asked for."""
    id: str = ""
    """The request's own."""
    parameters: Parameters = {}
    """`request_id`: prediction i is `<request_id>-<i>`; `age_ms`, when it is known; `warning`, when
    there is one.
    """
