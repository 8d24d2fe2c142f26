"""Odd files of a source, made by a seeded generator; each says which ids must count,
whatever becomes of its other rows.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pa_parquet

from twinstream.define import Source

Record = dict[str, Any]


class OddFile(msgspec.Struct, frozen=True, kw_only=True):
    """`must_count`: ids of its good rows that no reading may lose.
    Empty where the file as a whole is a dead letter.
    """

    name: str
    data: bytes
    form: str = ""
    must_count: tuple[str, ...] = ()


def odd_files(source: Source, good: Callable[[], Record], seed: int) -> Iterator[OddFile]:
    """Each kind in turn, for ever."""
    dice = random.Random(seed)
    number = 0
    while True:
        for make in KINDS:
            records = [good() for _ in range(dice.randrange(2, 9))]
            made = make(dice, source, records)
            yield msgspec.structs.replace(
                made, name=f"{number:05d}-{make.__name__.strip('_')}.{made.name}"
            )
            number += 1


def _ids(source: Source, records: list[Record]) -> tuple[str, ...]:
    return tuple(str(record[source.id_fields[0]]) for record in records)


def _csv_text(source: Source, records: list[Record], ending: str = "\n") -> list[str]:
    """The header and a line for each record."""
    names = list(source.fields)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(
        [["" if record.get(name) is None else record[name] for name in names] for record in records]
    )
    return [line + ending for line in out.getvalue().splitlines()]


def _ragged(dice: random.Random, source: Source, records: list[Record]) -> OddFile:
    """A row with too many columns and one with too few."""
    lines = _csv_text(source, records)
    lines.insert(dice.randrange(1, len(lines)), "a,b\n")
    lines.insert(dice.randrange(1, len(lines)), "x," * 40 + "\n")
    return OddFile(name="csv", data="".join(lines).encode(), must_count=_ids(source, records))


def _latin1(dice: random.Random, source: Source, records: list[Record]) -> OddFile:
    """One row with a byte that is not UTF-8."""
    lines = [line.encode() for line in _csv_text(source, records)]
    bad = dice.randrange(1, len(lines))
    lines[bad] = lines[bad][:1] + b"\xe9" + lines[bad][1:]
    kept = [record for n, record in enumerate(records, start=1) if n != bad]
    return OddFile(name="csv", data=b"".join(lines), must_count=_ids(source, kept))


def _unterminated(dice: random.Random, source: Source, records: list[Record]) -> OddFile:
    """A quote that nobody closes: what follows is one dead letter."""
    lines = _csv_text(source, records)
    at = dice.randrange(2, len(lines))
    lines[at] = '"' + lines[at]
    return OddFile(
        name="csv", data="".join(lines).encode(), must_count=_ids(source, records[: at - 1])
    )


def _excel(_: random.Random, source: Source, records: list[Record]) -> OddFile:
    """A byte order mark and CRLF."""
    return OddFile(
        name="csv",
        data="\ufeff".encode() + "".join(_csv_text(source, records, "\r\n")).encode(),
        must_count=_ids(source, records),
    )


def _cut(dice: random.Random, source: Source, records: list[Record]) -> OddFile:
    """The last row breaks off."""
    lines = _csv_text(source, records)
    lines[-1] = lines[-1][: dice.randrange(1, 8)]
    return OddFile(name="csv", data="".join(lines).encode(), must_count=_ids(source, records[:-1]))


def _header_only(dice: random.Random, source: Source, _: list[Record]) -> OddFile:
    return OddFile(
        name="csv", data=",".join(source.fields).encode() + dice.choice((b"", b"\n", b"\r\n"))
    )


def _line_break_in_a_name(_: random.Random, source: Source, __: list[Record]) -> OddFile:
    return OddFile(name="csv", data=b'"a\nb",' + ",".join(source.fields).encode() + b"\n1\n")


def _other_separator(_: random.Random, source: Source, records: list[Record]) -> OddFile:
    return OddFile(name="csv", data="".join(_csv_text(source, records)).replace(",", ";").encode())


def _wrong_words(_: random.Random, source: Source, records: list[Record]) -> OddFile:
    """Every value is a word."""
    return OddFile(
        name="csv",
        data="".join(
            [_csv_text(source, records)[0], ",".join(["NaN"] * len(source.fields)) + "\n"]
        ).encode(),
    )


def _json_lines(dice: random.Random, source: Source, records: list[Record]) -> OddFile:
    """Blank lines, a byte order mark, a bare carriage return, and lines that are none."""
    lines = [json.dumps(record).encode() for record in records]
    junk = dice.choice((b"", b"no json", b"[1, 2]", b"\xff\xfe", b'{"a":' * 3_000, b'{"a": NaN}'))
    lines.insert(dice.randrange(1, len(lines)), junk)
    return OddFile(
        name="jsonl",
        data=b"\xef\xbb\xbf" + dice.choice((b"\n", b"\r\n", b"\r")).join(lines),
        must_count=_ids(source, records),
    )


def _parquet_bytes(
    source: Source, records: list[Record], extra: dict[str, pa.Array] | None = None
) -> bytes:
    table = pa.table(
        {name: [record.get(name) for record in records] for name in source.fields} | (extra or {})
    )
    sink = io.BytesIO()
    pa_parquet.write_table(
        table, sink, compression="zstd", use_dictionary=False, write_statistics=False
    )
    return sink.getvalue()


def _broken_page(dice: random.Random, source: Source, records: list[Record]) -> OddFile:
    """A good footer over flipped bits."""
    data = bytearray(_parquet_bytes(source, records * 50))
    for at in range(40, min(len(data) // 2, 400), 3):
        data[at] ^= 1 << dice.randrange(8)
    return OddFile(name="parquet", data=bytes(data))


def _cut_parquet(dice: random.Random, source: Source, records: list[Record]) -> OddFile:
    data = _parquet_bytes(source, records)
    return OddFile(name="parquet", data=data[: dice.randrange(1, len(data))])


def _odd_column(dice: random.Random, source: Source, records: list[Record]) -> OddFile:
    """Columns that nobody declared, with moments beyond what Python knows."""
    n = len(records)
    kind = dice.choice(
        (
            pa.timestamp("ms"),
            pa.timestamp("s", "Asia/Tokyo"),
            pa.timestamp("us", "UTC"),
            pa.list_(pa.int64()),
        )
    )
    value: Any = [[1]] * n if pa.types.is_list(kind) else [10**15] * n
    odd = pa.array(value, kind if pa.types.is_list(kind) else pa.int64())
    extra = {"undeclared": odd if pa.types.is_list(kind) else odd.cast(kind, safe=False)}
    return OddFile(
        name="parquet",
        data=_parquet_bytes(source, records, extra),
        must_count=_ids(source, records),
    )


def _not_that(dice: random.Random, source: Source, records: list[Record]) -> OddFile:
    """One form under another's name."""
    data = dice.choice(
        (
            _parquet_bytes(source, records),
            gzip.compress(b"a,b\n"),
            b"\x00" * 100,
            "id\n1".encode("utf-16"),
            b"<html/>",
            b"{}",
            b"",
        )
    )
    return OddFile(name=dice.choice(("csv", "jsonl", "parquet")), data=data)


def _future(_: random.Random, source: Source, records: list[Record]) -> OddFile:
    """One row of 2062 must not move anybody's time."""
    odd = records[0] | {source.event_time: "2062-01-01T00:00:00Z"}
    if source.known_at:
        odd |= {source.known_at: "2062-01-01T00:00:00Z"}
    return OddFile(
        name="jsonl",
        data=b"\n".join(json.dumps(r).encode() for r in [odd, *records[1:]]),
        must_count=_ids(source, records[1:]),
    )


KINDS: tuple[Callable[[random.Random, Source, list[Record]], OddFile], ...] = (
    _ragged,
    _latin1,
    _unterminated,
    _excel,
    _cut,
    _header_only,
    _line_break_in_a_name,
    _other_separator,
    _wrong_words,
    _json_lines,
    _broken_page,
    _cut_parquet,
    _odd_column,
    _not_that,
    _future,
)
