"""What a prediction remembers of its features: values by name, and a digest over canonical
bytes.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from twinstream.features.arrays import Features
from twinstream.features.inputs import Inputs

_LENGTH = struct.Struct("<i")
Floats = np.ndarray[Any, np.dtype[np.float64]]
_NULL = _LENGTH.pack(-1)


def values(features: Features, row: int, inputs: Inputs) -> dict[str, Any]:
    """Input name -> number, text, list of numbers, or None where null."""
    named: dict[str, Any] = {}
    numbers = features.numeric[row].tolist()
    for name, number in zip(inputs.numeric, numbers, strict=True):
        named[name] = _plain(number)
    for name, texts in zip(inputs.categorical, features.texts, strict=True):
        named[name] = texts[row]
    for i, (name, length) in enumerate(inputs.sequences):
        steps = features.sequences[row, i, :length]
        named[name] = list(map(_plain, steps.tolist()))
    return named


def lists(features: Features, inputs: Inputs) -> list[list[Any]]:
    """`values` of every row, in the order of the inputs, without their names;
    null is NaN, which JSON writes as null.
    """
    rows: list[list[Any]] = features.numeric.tolist()
    more: list[list[Any]] = list(features.texts)
    for i, (_, length) in enumerate(inputs.sequences):
        more.append(features.sequences[:, i, :length].tolist())
    for i, row in enumerate(rows):
        row += [column[i] for column in more]
    return rows


def from_lists(rows: Sequence[Sequence[Any]], inputs: Inputs) -> Features:
    """The features of rows as `lists` gives them, or as an event carries them."""
    numbers, texts = len(inputs.numeric), len(inputs.categorical)
    numeric = np.array([row[:numbers] for row in rows], np.float64)
    steps = np.full((len(rows), len(inputs.sequences), inputs.longest), np.nan)
    for i, (_, length) in enumerate(inputs.sequences, numbers + texts):
        steps[:, i - numbers - texts, :length] = [
            [np.nan if step is None else step for step in row[i]] for row in rows
        ]
    columns = [[row[i] for row in rows] for i in range(numbers, numbers + texts)]
    return Features(numeric.reshape(len(rows), numbers), columns, steps)


def digest_of(named: Mapping[str, Any], inputs: Inputs) -> str:
    """`digest` of a row from its values by name, as `values` gives them and an event carries them.

    Raises KeyError for an input that is not there, TypeError and ValueError for a value that is
    none of its kind.
    """
    numbers = [named[name] for name in inputs.numeric]
    numeric = np.array([numbers], np.float64)
    steps = np.full((1, len(inputs.sequences), inputs.longest), np.nan)
    for i, (name, length) in enumerate(inputs.sequences):
        steps[0, i, :length] = named[name]
    texts = [[named[name]] for name in inputs.categorical]
    return digest(Features(numeric, texts, steps), 0, inputs)


def digest(features: Features, row: int, inputs: Inputs) -> str:
    """Hex sha256 over a row: its numbers, the steps of its sequences, its texts, each in the order
    of the inputs.

    Numbers are little-endian float64 with one NaN for null; a text is its UTF-8 length (int32,
    -1: null) and bytes.
    """
    digest = hashlib.sha256()
    digest.update(_float_bytes(features.numeric[row]))
    for i, (_, length) in enumerate(inputs.sequences):
        steps = features.sequences[row, i, :length]
        digest.update(_float_bytes(steps))
    for texts in features.texts:
        digest.update(_text_bytes(texts[row]))
    return digest.hexdigest()


def _float_bytes(numbers: Floats) -> bytes:
    return np.where(np.isnan(numbers), np.nan, numbers).astype("<f8").tobytes()


def _text_bytes(text: str | None) -> bytes:
    if text is None:
        return _NULL
    data = text.encode()
    return _LENGTH.pack(len(data)) + data


def _plain(number: float) -> float | None:
    return None if math.isnan(number) else number
