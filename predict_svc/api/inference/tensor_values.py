"""Values of tensors, as JSON or as the bytes of the binary extension, to and from Python."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import numpy as np

from predict_svc.api.inference.tensor_messages import InputTensor
from predict_svc.api.messages import RequestError
from twinstream.define.fields.base import FieldType
from twinstream.features.request import as_written
from twinstream.mesh.problems import Place

WHOLE = {
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
}
FLOATS = {
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
JSON_TYPES: dict[str, tuple[type, ...]] = {
    "BOOL": (bool,),
    "BYTES": (str,),
}
UNIONS = (UnionType, Union)
TEXT_OR_WHOLE = (
    *WHOLE,
    "BYTES",
)
DATATYPES: dict[type, tuple[str, ...]] = {
    int: TEXT_OR_WHOLE,
    float: (
        "FP64",
        "FP32",
        "FP16",
        *TEXT_OR_WHOLE,
    ),
    bool: ("BOOL",),
    str: ("BYTES",),
}
"""By what JSON brings for a field, what a tensor may; a number as text is exact."""
BEST: dict[type, str] = {
    int: "INT64",
    float: "FP64",
    bool: "BOOL",
    str: "BYTES",
}
"""By the same, what metadata names."""
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_LENGTH = struct.Struct("<I")


def brought_as(kind: FieldType) -> list[type]:
    """The types in which JSON brings values of a field, numbers first."""
    parts = get_args(kind.json) if get_origin(kind.json) in UNIONS else (kind.json,)
    found = {get_args(part)[0] if get_origin(part) is Annotated else part for part in parts}
    return [one for one in DATATYPES if one in found]


def datatypes_of(kind: FieldType) -> list[str]:
    """What a tensor may bring for a field."""
    return list(dict.fromkeys(name for one in brought_as(kind) for name in DATATYPES[one]))


def named_datatype(kind: FieldType) -> str:
    """What metadata names for a field."""
    return BEST[brought_as(kind)[0]]


def misfit_of(tensor: InputTensor, what: str, remedy: str = "") -> RequestError:
    """A tensor that does not fit."""
    place = Place(
        field=tensor.name,
        remedy=remedy,
    )
    return RequestError(f"{tensor.name}: {what}", place)


def count_of(tensor: InputTensor) -> int:
    """Rows that a tensor has values for; raises RequestError."""
    shape = tensor.shape
    if not 1 <= len(shape) <= 2 or shape[0] < 0 or shape[1:] not in ([], [1]):
        raise misfit_of(tensor, f"has the shape {shape[:8]}", "give [n] or [n, 1]")
    return shape[0]


def values_of(tensor: InputTensor, raw: memoryview | None) -> list[Any]:
    """The values of a tensor, None for null; raises RequestError."""
    found = _of_json(tensor) if raw is None else _of_bytes(tensor, raw)
    if len(found) != count_of(tensor):
        raise misfit_of(tensor, f"has {len(found)} values for the shape {tensor.shape}")
    return found


def as_numbers(texts: Sequence[Any]) -> list[Any]:
    """Numbers that were given as text, exactly; what is none stays text, and is refused as such."""
    return [
        as_written(text) if isinstance(text, str) and _NUMBER.fullmatch(text) else text
        for text in texts
    ]


def _of_json(tensor: InputTensor) -> list[Any]:
    if tensor.data is None:
        raise misfit_of(tensor, "has neither data nor binary_data_size")
    found = list(_flat(tensor.data))
    fits = JSON_TYPES.get(tensor.datatype, ())
    for row, value in enumerate(found):
        right = isinstance(value, fits) if fits else not isinstance(value, (bool, str, dict))
        if value is not None and not right:
            what = f"row {row}: {tensor.name}: {str(value)[:80]!r} is not of {tensor.datatype}"
            place = Place(
                row=row,
                field=tensor.name,
            )
            raise RequestError(what, place)
    return found


def _flat(data: Sequence[Any]) -> Iterator[Any]:
    """The values; those of the shape [n, 1] may each be in a list."""
    for value in data:
        yield value[0] if isinstance(value, list) and len(value) == 1 else value


def _of_bytes(tensor: InputTensor, raw: memoryview) -> list[Any]:
    if tensor.datatype == "BYTES":
        return list(_texts(tensor, raw))
    kind = np.dtype(WHOLE.get(tensor.datatype) or FLOATS.get(tensor.datatype) or "u1")
    if len(raw) % kind.itemsize:
        raise misfit_of(tensor, f"{len(raw)} bytes are no whole number of {tensor.datatype}")
    numbers = np.frombuffer(raw, kind)
    if tensor.datatype == "BOOL":
        return [bool(value) for value in numbers.tolist()]
    if tensor.datatype in FLOATS:
        return [None if math.isnan(value) else _shortest(value) for value in numbers]
    return list(numbers.tolist())


def _shortest(value: np.floating[Any]) -> float:
    """The number of fewest digits that is this one in its own width: 0.1 of FP32 is 0.1."""
    return float(value) if value.dtype == np.float64 else float(str(value))


def _texts(tensor: InputTensor, raw: memoryview) -> Iterator[str]:
    """Each is its length, little-endian in four bytes, and its UTF-8."""
    at, row = 0, 0
    while at < len(raw):
        end = at + _LENGTH.size
        if end > len(raw) or (end := end + _LENGTH.unpack_from(raw, at)[0]) > len(raw):
            raise misfit_of(tensor, f"text {row} ends behind the tensor's {len(raw)} bytes")
        try:
            yield str(raw[at + _LENGTH.size : end], "utf-8")
        except UnicodeDecodeError as error:
            place = Place(
                row=row,
                field=tensor.name,
            )
            raise RequestError(f"row {row}: {tensor.name}: is not UTF-8", place) from error
        at, row = end, row + 1


def doubles_to_bytes(values: Sequence[float]) -> bytes:
    """FP64 of the binary extension."""
    return np.array(values, "<f8").tobytes()


def texts_to_bytes(values: Sequence[str]) -> bytes:
    """BYTES of the binary extension."""
    encoded = [value.encode() for value in values]
    return b"".join(_LENGTH.pack(len(one)) + one for one in encoded)
