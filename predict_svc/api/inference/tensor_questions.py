"""A request of the Open Inference Protocol as the question that it asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from predict_svc.api.inference.tensor_messages import InferRequest, InputTensor
from predict_svc.api.inference.tensor_values import (
    as_numbers,
    brought_as,
    count_of,
    datatypes_of,
    misfit_of,
    values_of,
)
from predict_svc.api.messages import BAD, PredictBody, RequestError, check_count, misfit, positions
from twinstream.define import Model
from twinstream.features.request import as_written
from twinstream.mesh.problems import Place

NULL = ".null"
SIZE = "binary_data_size"
Column = list[Any]
_decoder = msgspec.json.Decoder(InferRequest, float_hook=as_written)


class Received(msgspec.Struct, frozen=True):
    """A request and the bytes behind its JSON."""

    request: InferRequest
    raw: memoryview


def received(body: bytes, header_length: str) -> Received:
    """`header_length`: of Inference-Header-Content-Length, "" when the body is JSON alone.

    Raises RequestError.
    """
    end = len(body)
    if header_length:
        if not (header_length.isascii() and header_length.isdigit() and len(header_length) < 12):
            raise RequestError(f"Inference-Header-Content-Length is {header_length[:40]!r}")
        end = int(header_length)
    if end > len(body) or (header_length and not end):
        raise RequestError(
            f"Inference-Header-Content-Length is {end} of a body of {len(body)} bytes",
            Place(remedy="give the length of the JSON before the tensors"),
        )
    try:
        return Received(_decoder.decode(body[:end]), memoryview(body)[end:])
    except BAD as error:
        raise misfit(error) from error


def question_of(model: Model, found: Received, most_rows: int) -> PredictBody:
    """The rows and what is asked beside them; raises RequestError."""
    request = found.request
    counts = {count_of(tensor) for tensor in request.inputs}
    if len(counts) > 1:
        told = ", ".join(f"{tensor.name} {count_of(tensor)}" for tensor in request.inputs)
        raise RequestError(f"inputs have different counts of rows ({told})")
    count = max(counts, default=0)
    check_count(count, most_rows)
    columns = columns_of(model, found)
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return PredictBody(
        rows=rows,
        **asked_beside(request.parameters),
    )


def columns_of(model: Model, found: Received) -> dict[str, Column]:
    """Values of each field, None for null."""
    columns: dict[str, Column] = {}
    masks: list[tuple[InputTensor, Column]] = []
    for tensor, values in _read(found):
        if tensor.name in model.spine.fields:
            columns[tensor.name] = _of_field(model, tensor, values)
        elif tensor.name.removesuffix(NULL) in model.spine.fields and tensor.datatype == "BOOL":
            masks.append((tensor, values))
        else:
            fields = ", ".join(model.spine.names)
            raise misfit_of(tensor, "there is no such input", f"the fields are {fields}")
    for tensor, mask in masks:
        name = tensor.name.removesuffix(NULL)
        values = columns.get(name, [None] * len(mask))
        columns[name] = [None if null else value for null, value in zip(mask, values, strict=True)]
    return columns


def _read(found: Received) -> Iterator[tuple[InputTensor, Column]]:
    """Each input with its values: those in bytes lie behind the JSON in the order of the inputs."""
    at, seen = 0, set[str]()
    for tensor in found.request.inputs:
        if tensor.name in seen:
            raise misfit_of(tensor, "comes twice", "give each once")
        seen.add(tensor.name)
        size = tensor.parameters.get(SIZE)
        if size is None:
            yield tensor, values_of(tensor, None)
            continue
        if type(size) is not int or not 0 <= size <= len(found.raw) - at:
            raise misfit_of(tensor, f"{SIZE} is {size!r}, and {len(found.raw) - at} bytes are left")
        yield tensor, values_of(tensor, found.raw[at : at + size])
        at += size
    if at != len(found.raw):
        raise RequestError(f"{len(found.raw) - at} bytes follow the last tensor")


def _of_field(model: Model, tensor: InputTensor, values: Column) -> Column:
    kind = model.spine.fields[tensor.name]
    taken = datatypes_of(kind)
    if tensor.datatype not in taken:
        what = f"{tensor.datatype} is not taken for a {kind.kind}"
        raise misfit_of(tensor, what, f"give {', '.join(taken)}")
    if tensor.datatype == "BYTES" and str not in brought_as(kind):
        return as_numbers(values)
    return values


def asked_beside(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What a question says beside its rows; raises RequestError."""
    if "on_error" in parameters:
        raise RequestError(
            "on_error: this protocol has no place for the problem of a row",
            Place(field="on_error", remedy="ask POST /v1/predict/<model>"),
        )
    found: dict[str, Any] = {}
    at, stale = parameters.get("at"), parameters.get("max_staleness_ms")
    if at is not None:
        found["at"] = _typed("at", at, (int, str))
    if stale is not None:
        found["max_staleness_ms"] = float(_typed("max_staleness_ms", stale, (int, float)))
    if (asked := parameters.get("min_position")) is not None:
        found["min_position"] = positions(_typed("min_position", asked, (str,)))
    return found


def _typed(name: str, value: Any, kinds: Sequence[type]) -> Any:
    if not isinstance(value, tuple(kinds)) or isinstance(value, bool):
        told = " or ".join(kind.__name__ for kind in kinds)
        raise RequestError(f"{name}: expected {told}, got {str(value)[:80]!r}", Place(field=name))
    return value
