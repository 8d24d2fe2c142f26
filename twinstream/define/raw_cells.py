"""Records as they came, cell by cell, for the slow and exact way."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal as Exact
from typing import Any, Protocol

import msgspec
import pyarrow as pa

from twinstream.define.fields.exact import expected
from twinstream.errors import UNDECODABLE, RecordError

_exact_json = msgspec.json.Decoder(float_hook=Exact)


class RawCells(Protocol):
    """Records as they came: one cell of one, or all of it."""

    def cell(self, name: str, row: int) -> Any: ...

    def row(self, row: int) -> dict[str, Any]: ...


class RawColumns:
    """Rows of a file."""

    def __init__(self, columns: dict[str, pa.Array]) -> None:
        self._columns = columns

    def cell(self, name: str, row: int) -> Any:
        return self._columns[name][row].as_py()

    def row(self, row: int) -> dict[str, Any]:
        return {name: column[row].as_py() for name, column in self._columns.items()}


class RawObjects:
    """JSON objects, each decoded exactly, and once, when a cell of it is asked for."""

    def __init__(self, values: Sequence[bytes]) -> None:
        self._values = values
        self._kept: dict[int, dict[str, Any]] = {}

    def cell(self, name: str, row: int) -> Any:
        if row not in self._kept:
            self._kept[row] = self.row(row)
        return self._kept[row].get(name)

    def row(self, row: int) -> dict[str, Any]:
        return _object(self._values[row])


def _object(value: bytes) -> dict[str, Any]:
    """A record with its numbers exactly as written; raises RecordError when it is not a JSON
    object.
    """
    try:
        record = _exact_json.decode(value)
    except UNDECODABLE as error:
        raise RecordError(f"not JSON: {error}") from error
    if not isinstance(record, dict):
        raise expected("a JSON object", record)
    return record
