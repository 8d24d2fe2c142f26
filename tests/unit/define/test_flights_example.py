"""The flights example: a short definition without an engine in it, and data that fits it."""

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet
import pytest

from examples.flights import data
from twinstream.define.records import Decoder
from twinstream.mesh.pipeline_file import load

FILE = Path(data.__file__).with_name("pipeline.py")
ENGINES = ("kafka", "spark", "faust", "torch", "ray", "lmdb", "flask", "hive", "s3", "arrow")


def us(*moment):
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.fixture(scope="module")
def flights():
    return load(FILE)


def test_the_definition_is_short_and_names_no_engine():
    text = FILE.read_text()
    assert len(text.splitlines()) <= 190
    assert [
        engine for engine in ENGINES if engine in text.lower().replace("pytorch", "torch").split()
    ] == []


@pytest.mark.parametrize("source", list(data.KNOWN))
def test_every_record_of_the_year_fits_its_source(flights, source):
    decoder = Decoder(flights.source(source))
    table = data.tables()[source]
    decoder.check_schema(table.schema)
    decoded = decoder.table(table)
    assert decoded.errors == []
    assert decoded.batch.num_rows == table.num_rows
    if source != "weather":
        assert len(decoded.ids.unique()) == table.num_rows


def test_live_records_equal_rows_of_files_and_come_in_the_order_in_which_they_became_known(flights):
    day = us(2013, 10, 1, 4), us(2013, 10, 2, 4)
    records = data.live(*day)
    assert [r.known_us for r in records] == sorted(r.known_us for r in records)
    for name in data.KNOWN:
        decoder = Decoder(flights.source(name))
        sent = decoder.json([r.data for r in records if r.source == name])
        assert sent.errors == []
        assert sent.batch.equals(decoder.table(data.between(name, *day)).batch)
        known = sent.batch.column(data.KNOWN[name]).to_pylist()
        assert known == [r.known_us for r in records if r.source == name]


def test_files_hold_what_was_known_before_and_nothing_else(flights, tmp_path):
    until = us(2013, 2, 1, 5)
    written = data.write_files(tmp_path, until)
    for name, paths in written.items():
        assert len(paths) == 2
        decoder = Decoder(flights.source(name))
        found = sum(decoder_rows(decoder, path) for path in paths)
        assert found == data.between(name, 0, until).num_rows


def decoder_rows(decoder, path):
    if path.suffix == ".parquet":
        decoded = decoder.table(pa_parquet.read_table(path))
    elif path.suffix == ".csv":
        header = path.read_text().split("\n", 1)[0].replace('"', "").split(",")
        options = pa_csv.ConvertOptions(column_types=dict.fromkeys(header, "string"))
        decoded = decoder.table(pa_csv.read_csv(path, convert_options=options), text=True)
    else:
        decoded = decoder.json(path.read_bytes().splitlines())
    assert decoded.errors == []
    return decoded.batch.num_rows


def test_a_question_carries_no_knowledge_of_its_flight(flights):
    asked = data.questions(us(2013, 10, 1, 4), us(2013, 10, 1, 16))
    assert set(asked[0][1]) == set(flights.source("schedules").names)
    departed = {
        json.loads(r.data)["flight_id"]: r.known_us
        for r in data.live(us(2013, 10, 1), us(2013, 10, 3))
        if r.source == "departures"
    }
    early = Counter(
        departed[row["flight_id"]] <= at for at, row in asked if row["flight_id"] in departed
    )
    assert early[True] <= early[False] / 1000  # a few leave more than 30 minutes early


def test_the_truth_counts_cancelled_flights_as_late():
    truth = data.late()
    assert len(truth) == 336_776
    assert sum(truth.values()) / len(truth) == pytest.approx(0.2658, abs=1e-4)
    cancelled = (
        data.tables()["departures"]
        .filter(data.tables()["departures"]["cancelled"])["flight_id"]
        .to_pylist()
    )
    assert all(truth[flight] for flight in cancelled)
