"""What a safetensors file must be before it is loaded: its header is small, says everything once,
and fits the bytes.
"""

# The library itself takes a header of any size and the last of two tensors with one name. Layout:
# 8 bytes header length (little-endian), the header (JSON), the tensors' bytes without a gap.

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from twinstream.nn.digest import ModelCorruptError

LENGTH_BYTES = 8
MOST_HEADER_BYTES = 1 << 20
MOST_TENSORS = 10_000
MOST_DIMENSIONS = 8
MOST_BYTES = 4 << 30
METADATA = "__metadata__"
SIZES = dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3"), 1)
SIZES |= dict.fromkeys(("I16", "U16", "F16", "BF16"), 2)
SIZES |= dict.fromkeys(("I32", "U32", "F32"), 4)
SIZES |= dict.fromkeys(("I64", "U64", "F64", "C64"), 8)
"""Bytes of one element."""
Shapes = dict[str, tuple[int, ...]]


def shapes(data: bytes) -> Shapes:
    """The shape of each tensor of a safetensors file; raises ModelCorruptError when its header
    cannot be true.
    """
    header = _header(data)
    header.pop(METADATA, None)
    if len(header) > MOST_TENSORS:
        raise _corrupt(f"{len(header)} tensors, at most {MOST_TENSORS} are read")
    body = len(data) - LENGTH_BYTES - _length(data)
    spans = sorted(_span(name, tensor) for name, tensor in header.items())
    _refuse_gaps(spans, body)
    return {name: tuple(tensor["shape"]) for name, tensor in header.items()}


def refuse_not_finite(network: nn.Module) -> None:
    """Raises ModelCorruptError for a NaN anywhere, and for an infinite weight;
    a buffer may mask with infinities.
    """
    weights = {name for name, _ in network.named_parameters(remove_duplicate=False)}
    for name, tensor in network.state_dict().items():
        if isinstance(tensor, Tensor) and not _usable(tensor, infinite=name not in weights):
            raise ModelCorruptError(
                f"weights of {name} are not finite: train again, with a lower learning_rate"
            )


def _usable(tensor: Tensor, *, infinite: bool) -> bool:
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return True
    wanted = ~torch.isnan(tensor) if infinite else torch.isfinite(tensor)
    return bool(wanted.all())


def _header(data: bytes) -> dict[str, Any]:
    length = _length(data)
    try:
        found = json.loads(data[LENGTH_BYTES : LENGTH_BYTES + length], object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise _corrupt(f"its header is not JSON: {str(error)[:200]}") from error
    if not isinstance(found, dict):
        raise _corrupt("its header is not an object")
    return found


def _length(data: bytes) -> int:
    if len(data) > MOST_BYTES:
        raise _corrupt(f"{len(data)} bytes, at most {MOST_BYTES} are read")
    length = int.from_bytes(data[:LENGTH_BYTES], "little")
    if length > min(MOST_HEADER_BYTES, len(data) - LENGTH_BYTES):
        raise _corrupt(
            f"a header of {length} bytes in a file of {len(data)}, at most "
            f"{MOST_HEADER_BYTES} are read"
        )
    return length


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names differ."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _span(name: str, tensor: Any) -> tuple[int, int]:
    """First byte and end of one tensor, which its type and shape fill."""
    match tensor:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [int(start), int(end)]}:
            if dtype in SIZES and 0 <= start <= end == start + _elements(shape) * SIZES[dtype]:
                return start, end
    raise _corrupt(f"type, shape and place of tensor {name[:80]!r} do not fit")


def _elements(shape: list[Any]) -> int:
    """How many elements a shape has; -1 when it is none."""
    if len(shape) > MOST_DIMENSIONS or any(type(n) is not int or n < 0 for n in shape):
        return -1
    return math.prod(shape)


def _refuse_gaps(spans: list[tuple[int, int]], body: int) -> None:
    at = 0
    for start, end in spans:
        if start != at:
            raise _corrupt(f"its tensors overlap or leave a gap at byte {start}")
        at = end
    if at != body:
        raise _corrupt(f"its tensors take {at} bytes of {body}")


def _corrupt(why: str) -> ModelCorruptError:
    return ModelCorruptError(f"the weights do not fit a model: {why}")


def refuse_other_shapes(found: Shapes, wanted: Mapping[str, Tensor]) -> None:
    """Raises ModelCorruptError unless a file's tensors are those of a network."""
    expected = {name: tuple(tensor.shape) for name, tensor in wanted.items()}
    if wrong := sorted(
        name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)
    ):
        name = wrong[0]
        raise _corrupt(
            f"tensor {name[:80]!r} is {found.get(name)}, the network has {expected.get(name)}"
        )
