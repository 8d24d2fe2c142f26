"""Rows of every kind become the same JSON, and no library of theirs is imported for it."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from twinstream.client import InvalidInputError, encoding
from twinstream.client.encoding import encoded, parts_of, rows_of, view_query

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ROW = {"name": "a", "amount": 1.5, "at": AT}


@dataclass
class Order:
    name: str
    amount: float
    at: datetime


class OrderStruct(msgspec.Struct):
    name: str
    amount: float
    at: datetime


class LikePolars:
    """What the client knows of a polars DataFrame."""

    def to_dicts(self) -> list[dict[str, Any]]:
        return [ROW, ROW]


FORMS = {
    "mapping": ROW,
    "list": [ROW],
    "ordered": OrderedDict(ROW),
    "read-only": MappingProxyType(ROW),
    "dataclass": Order(**ROW),
    "struct": OrderStruct(**ROW),
    "structs": [OrderStruct(**ROW)],
    "arrow": pa.Table.from_pylist([ROW]),
    "batch": pa.RecordBatch.from_pylist([ROW]),
    "pandas": pd.DataFrame([ROW]),
    "numpy": {"name": "a", "amount": np.float64(1.5), "at": AT},
    "bytes": b'{"name": "a", "amount": 1.5, "at": "2026-01-02T03:04:05Z"}',
}


@pytest.mark.parametrize("form", FORMS)
def test_a_row_is_the_same_json_in_every_form(form: str) -> None:
    (row,) = rows_of(FORMS[form])
    assert msgspec.json.decode(encoded(row, 0)) == {
        "name": "a",
        "amount": 1.5,
        "at": "2026-01-02T03:04:05Z",
    }


def test_a_polars_frame_is_known_by_its_dicts() -> None:
    assert rows_of(LikePolars()) == [ROW, ROW]


def test_what_is_missing_is_null() -> None:
    row = {"a": math.nan, "b": pd.NA, "c": pd.NaT, "d": np.float32("nan"), "e": None}
    assert msgspec.json.decode(encoded(row, 0)) == dict.fromkeys(row)


def test_a_decimal_keeps_its_digits() -> None:
    digits = "0.1234567890123456789"
    assert encoded({"amount": Decimal(digits)}, 0) == b'{"amount":' + digits.encode() + b"}"


@pytest.mark.parametrize("row", [5, "text", [1], {"a": object()}, {"a": {1j}}, None])
def test_what_is_no_row_is_named_by_its_number(row: Any) -> None:
    with pytest.raises(InvalidInputError, match="row 4") as caught:
        encoded(row, 4)
    assert caught.value.row == 4


def test_a_stream_is_read_no_further_than_the_part_that_is_sent(monkeypatch: Any) -> None:
    monkeypatch.setattr(encoding, "PART_BYTES", 20)
    read = []

    def records() -> Any:
        for n in range(10):
            read.append(n)
            yield {"id": n}

    parts = parts_of(records())
    assert next(parts) == (0, 2, b'[{"id":0},{"id":1}]')
    assert len(read) == 3
    assert [begin for begin, _, _ in parts] == [2, 4, 6, 8]


def test_no_record_makes_no_request() -> None:
    assert list(parts_of([])) == []


def test_a_query_names_each_field_of_the_key() -> None:
    assert view_query(("a b", 5, True), at=AT) == [
        ("key", "a b"),
        ("key", "5"),
        ("key", "true"),
        ("at", "2026-01-02T03:04:05Z"),
    ]


def test_the_client_loads_no_library_of_tables() -> None:
    heavy = "{'numpy', 'pyarrow', 'pandas', 'polars', 'confluent_kafka', 'boto3', 'schemas'}"
    code = "import sys; from twinstream import Client, AsyncClient"
    code += f"; print(*{heavy} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
