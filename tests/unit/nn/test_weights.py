"""A safetensors file is believed only after its header was."""

import json
import math
import tracemalloc
from typing import Any

import msgspec
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.unit.nn.test_model_files import Files, files
from twinstream.errors import NotFiniteError
from twinstream.nn import TabularNetwork
from twinstream.nn.digest import CONFIG, WEIGHTS, ModelCorruptError, model_digest
from twinstream.nn.files import ModelConfig, from_files, to_files
from twinstream.nn.weights import MOST_HEADER_BYTES, MOST_TENSORS, refuse_not_finite, shapes

__all__ = ["files"]
ONE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
GOOD = safetensors.torch.save({"a": torch.ones(2, 3), "b": torch.zeros(4, dtype=torch.int64)})


def file_of(header: Any, body: bytes = bytes(8)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def loaded(files: Files, **changed: bytes) -> Any:
    other = {**files, **changed}
    return from_files(other, model_digest(other), TabularNetwork)


def test_a_files_shapes_are_those_that_were_saved() -> None:
    assert shapes(GOOD) == {"a": (2, 3), "b": (4,)}
    assert shapes(safetensors.torch.save({"a": torch.ones(0, 3)}, {"by": "us"})) == {"a": (0, 3)}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (bytes(8), "its header is not JSON"),
        (b"", "at most"),
        (b"\x01", "a header of 1 bytes"),
        ((2**63).to_bytes(8, "little"), "a header of"),
        (file_of(b"[" * 100_000), "not JSON"),
        (file_of(b"\xff\xfe"), "not JSON"),
        (file_of([]), "not an object"),
        (file_of(b'{"a":%b,"a":%b}' % ((json.dumps(ONE).encode(),) * 2)), "twice"),
        (file_of({"a": ONE | {"dtype": "F31"}}), "do not fit"),
        (file_of({"a": ONE | {"dtype": None}}), "do not fit"),
        (file_of({"a": ONE | {"shape": [3]}}), "do not fit"),
        (file_of({"a": ONE | {"shape": [-2]}}), "do not fit"),
        (file_of({"a": ONE | {"shape": [2.0]}}), "do not fit"),
        (file_of({"a": ONE | {"shape": [2] + [1] * 8}}), "do not fit"),
        (file_of({"a": ONE | {"data_offsets": [8, 0]}}), "do not fit"),
        (file_of({"a": ONE | {"data_offsets": [0]}}), "do not fit"),
        (file_of({"a": ONE | {"data_offsets": [-8, 0]}}), "do not fit"),
        (file_of({"a": 7}), "do not fit"),
        (file_of({"a": ONE}, bytes(9)), "take 8 bytes of 9"),
        (file_of({"a": ONE}, bytes(7)), "take 8 bytes of 7"),
        (file_of({"a": ONE | {"data_offsets": [4, 12]}}, bytes(12)), "gap at byte 4"),
        (file_of({"a": ONE, "b": ONE}), "overlap"),
        (file_of({str(i): ONE for i in range(MOST_TENSORS + 1)}), "at most"),
    ],
)
def test_a_header_that_cannot_be_true_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ModelCorruptError, match=reason):
        shapes(data)


def test_a_header_of_76_megabytes_is_refused_before_it_is_parsed(files: Files) -> None:
    huge = file_of(b'{"__metadata__":{"x":"' + b"y" * 76_000_000 + b'"}}')
    tracemalloc.start()
    with pytest.raises(ModelCorruptError, match=f"at most {MOST_HEADER_BYTES}"):
        loaded(files, **{WEIGHTS: huge})
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - held < 1_000_000


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_what_passes_with_a_byte_changed_the_library_reads_alike(at: int, byte: int) -> None:
    """The library is the oracle: no file that passes here has other shapes there."""
    data = GOOD[:at] + bytes([byte]) + GOOD[at + 1 :]
    try:
        found = shapes(data)
    except ModelCorruptError:
        return
    read = {name: tuple(tensor.shape) for name, tensor in safetensors.torch.load(data).items()}
    assert read == found


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite_are_neither_saved_nor_loaded(
    files: Files, value: float
) -> None:
    before = loaded(files)
    state = safetensors.torch.load(files[WEIGHTS])
    state["head.1.bias"][0] = value
    with pytest.raises(ModelCorruptError, match=r"head\.1\.bias are not finite"):
        loaded(files, **{WEIGHTS: safetensors.torch.save(state)})
    before.network.load_state_dict(state)
    with pytest.raises(ModelCorruptError, match=r"head\.1\.bias are not finite"):
        to_files(before.network, before.config, {})


def test_a_mask_of_infinities_is_a_buffer_and_may_be_saved() -> None:
    network = nn.Linear(2, 2)
    network.register_buffer("mask", torch.tensor([0.0, -math.inf]))
    refuse_not_finite(network)
    network.register_buffer("mask", torch.tensor([0.0, math.nan]))
    with pytest.raises(ModelCorruptError, match="mask"):
        refuse_not_finite(network)


def test_tied_weights_are_saved_and_loaded(files: Files) -> None:
    before = loaded(files)
    network = before.network
    network.blocks[1].change[1].weight = network.blocks[0].change[1].weight
    after = loaded(to_files(network, before.config, {}))
    a, b = (after.network.blocks[i].change[1].weight for i in range(2))
    assert torch.equal(a, b)


def test_metrics_that_are_not_finite_are_not_saved(files: Files) -> None:
    before = loaded(files)
    with pytest.raises(NotFiniteError, match="auc is nan"):
        to_files(before.network, before.config, {"auc": math.nan})


@pytest.mark.parametrize(
    "change",
    [
        {"arguments": {"width": "wide"}},
        {"arguments": {"width": -1}},
        {"arguments": {"width": 10**15}},
        {"arguments": {"breadth": 3}},
        {"statistics": {}},
        {"statistics": {"numeric": [], "categories": 3, "sequences": None}},
    ],
)
def test_a_config_that_its_network_does_not_take_is_refused(
    files: Files, change: dict[str, Any]
) -> None:
    config = msgspec.json.decode(files[CONFIG], type=ModelConfig)
    other = msgspec.json.encode(msgspec.structs.replace(config, **change))
    with pytest.raises(ModelCorruptError, match="cannot be made from its config"):
        loaded(files, **{CONFIG: other})


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"\xff", b'{"a":' * 100_000, b"[" * 1_000_000, b'{"model":3}', b"null"]
)
def test_a_config_that_is_none_is_refused(files: Files, data: bytes) -> None:
    with pytest.raises(ModelCorruptError, match=CONFIG):
        loaded(files, **{CONFIG: data})
