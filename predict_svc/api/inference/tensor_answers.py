"""Answers of the Open Inference Protocol: metadata of a model, and predictions as tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from predict_svc.api.inference.tensor_messages import (
    InferAnswer,
    InferRequest,
    ModelMetadata,
    OutputTensor,
    TensorMetadata,
    WantedTensor,
)
from predict_svc.api.inference.tensor_values import doubles_to_bytes, named_datatype, texts_to_bytes
from predict_svc.api.messages import Answer, RequestError
from predict_svc.api.serving import Active
from twinstream.define import Model
from twinstream.features.request import QuestionForm
from twinstream.mesh.problems import Place
from twinstream.protocol.predictions import row_id

PREDICTION, PREDICTION_ID = "prediction", "prediction_id"
OUTPUTS = {PREDICTION: "FP64", PREDICTION_ID: "BYTES"}
_encode = msgspec.json.Encoder().encode


def metadata_of(model: Model, active: Active | None) -> ModelMetadata:
    """What a model takes and gives, and the release that answers."""
    needed = dict.fromkeys([*QuestionForm(model).needed, *model.label.on])
    return ModelMetadata(
        name=model.name,
        versions=[active.name] if active else [],
        platform="twinstream",
        inputs=[_tensor(name, named_datatype(model.spine.fields[name])) for name in needed],
        outputs=[_tensor(name, datatype) for name, datatype in OUTPUTS.items()],
    )


def _tensor(name: str, datatype: Any) -> TensorMetadata:
    return TensorMetadata(
        name=name,
        datatype=datatype,
        shape=[-1],
    )


def check_outputs(request: InferRequest) -> None:
    """Raises RequestError for an output that there is not."""
    for wanted in request.outputs:
        if wanted.name not in OUTPUTS:
            remedy = f"ask for {' or '.join(OUTPUTS)}"
            place = Place(field="outputs", remedy=remedy)
            raise RequestError(f"there is no output {wanted.name[:80]!r}", place)


def answer_of(model: str, request: InferRequest, found: Answer) -> tuple[bytes, int]:
    """The body, and how much of it is JSON; values that were asked for as bytes lie behind it."""
    wanted = request.outputs or [WantedTensor(name=name) for name in OUTPUTS]
    otherwise = request.parameters.get("binary_data_output") is True
    made = [_output(one, found, binary=_binary(one, otherwise=otherwise)) for one in wanted]
    parameters: dict[str, Any] = {"request_id": found.id}
    if found.age_ms is not None:
        parameters["age_ms"] = found.age_ms
    if found.warnings:
        parameters["warning"] = "; ".join(warning.detail for warning in found.warnings)
    head = _encode(
        InferAnswer(
            model_name=model,
            model_version=found.release,
            outputs=[output for output, _ in made],
            id=request.id,
            parameters=parameters,
        )
    )
    return head + b"".join(raw for _, raw in made), len(head)


def _binary(wanted: WantedTensor, *, otherwise: bool) -> bool:
    return wanted.parameters.get("binary_data", otherwise) is True


def _output(wanted: WantedTensor, found: Answer, *, binary: bool) -> tuple[OutputTensor, bytes]:
    values: Sequence[Any] = found.predictions
    to_bytes: Callable[[Any], bytes] = doubles_to_bytes
    if wanted.name == PREDICTION_ID:
        values = [row_id(found.id, row) for row in range(len(found.predictions))]
        to_bytes = texts_to_bytes
    raw = to_bytes(values) if binary else b""
    output = OutputTensor(
        name=wanted.name,
        shape=[len(values)],
        datatype=OUTPUTS[wanted.name],  # type: ignore[arg-type]
        parameters={"binary_data_size": len(raw)} if binary else {},
        data=None if binary else list(values),
    )
    return output, raw
