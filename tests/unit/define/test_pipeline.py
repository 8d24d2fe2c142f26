"""A definition has one digest everywhere, loads no engine, and travels between processes."""

import pickle  # noqa: TID251 - as Spark ships definitions to its workers
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from twinstream import (
    Int,
    Source,
    String,
    Timestamp,
    View,
    clip,
    count,
    count_by,
    last_k,
    mean,
    share,
    strip,
)
from twinstream.define import Network
from twinstream.mesh.pipeline_file import load

ROOT = Path(__file__).parents[3]
FLIGHTS = ROOT / "examples" / "flights" / "pipeline.py"


@pytest.fixture(scope="module")
def flights():
    return load(FLIGHTS)


def run(code, seed="0"):
    env = {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT), "PATH": ""}
    return subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_digest_is_the_same_in_other_processes(flights):
    code = f"from twinstream.mesh.pipeline_file import load; print(load({str(FLIGHTS)!r}).digest)"
    assert {run(code, seed) for seed in ("1", "2")} == {flights.digest}


def test_loading_a_definition_loads_no_engine():
    code = f"""
import sys
from twinstream.mesh.pipeline_file import load
load({str(FLIGHTS)!r})
print([m for m in ("torch", "pyspark", "faust", "numba", "ray", "flask", "boto3", "confluent_kafka", "pandas") if m in sys.modules])"""
    assert run(code) == "[]"


def test_the_digest_changes_with_anything_declared(tmp_path):
    text = FLIGHTS.read_text()
    changes = [
        ("delay_minutes >= 15", "delay_minutes >= 16"),
        ('"1h", "3h"', '"2h", "3h"'),
        ("clip(0, 200)", "clip(0, 201)"),
        ("Decimal(1,", "Decimal(3,"),
        ("choice(64,", "choice(32,"),
        ('{"auc": 0.75}', '{"auc": 0.5}'),
        ('horizon="24h"', 'horizon="25h"'),
        ('horizon="24h"', 'horizon="24h", settles="at once"'),
    ]
    digests = {load(FLIGHTS).digest}
    for i, (old, new) in enumerate(changes):
        assert old in text
        path = tmp_path / f"changed_{i}.py"
        path.write_text(text.replace(old, new))
        digests.add(load(path).digest)
    assert len(digests) == len(changes) + 1


def test_a_pickled_pipeline_is_the_same(flights):
    assert pickle.loads(pickle.dumps(flights)).digest == flights.digest


def test_parts_are_found_by_name(flights):
    assert [s.name for s in flights.sources] == ["schedules", "arrivals", "departures", "weather"]
    assert flights.view("by-route").by == ("origin", "carrier")
    assert {v.name for v in flights.views_of("weather")} == {"sky"}


def test_inputs_are_named_after_fields_and_outputs(flights):
    inputs = flights.model("late-arrival").inputs
    assert inputs.categorical == ["origin", "carrier", "destination"]
    assert inputs.numeric[:3] == ["distance_miles", "minute_of_day", "weekday"]
    assert "by-origin.delay_1h" in inputs.numeric
    assert inputs.sequences == [("by-tail.legs_3d", 8)]


def test_a_networks_class_is_imported_when_it_is_used():
    path = "collections.OrderedDict"
    reference = Network(path)
    assert (reference.path, reference.__module__, reference.__qualname__) == (
        path,
        "collections",
        "OrderedDict",
    )
    assert dict(reference(a=1)) == {"a": 1}

    class Mine(reference):
        pass

    assert Mine.__bases__[0].__name__ == "OrderedDict"


def test_a_class_of_the_definition_file_is_a_network(tmp_path):
    own = (
        "class Mine:\n    def __init__(self, inputs, statistics, *, width, dropout):\n        pass"
    )
    text = (
        FLIGHTS.read_text()
        .replace("network=TabularNetwork", "network=Mine")
        .replace("recent =", own + "\n\n\nrecent =")
    )
    path = tmp_path / "own_network.py"
    path.write_text(text)
    network = load(path).models[0].network
    assert network.path == "definition_own_network.Mine"
    assert pickle.loads(pickle.dumps(network)).resolve() is network.resolve()


def test_a_sources_arrow_types_are_the_stored_ones(flights):
    weather = flights.source("weather")
    assert weather.pack_schema.names == ["_raw", "_known_us", *weather.names]
    assert weather.schema.field("wind_mph").type == pa.int64()
    assert not weather.schema.field("origin").nullable


SOURCE = Source(
    "x",
    id="i",
    key="k",
    event_time="t",
    fields={"i": Int(), "k": String(), "t": Timestamp(), "n": Int(optional=True)},
)


def test_outputs_are_named_by_feature_and_window_and_know_their_width():
    view = View(
        "v",
        SOURCE,
        by="k",
        features={
            "n": mean("n").over("1h", "all"),
            "recent": last_k("n", 3).over("3d"),
            "kinds": count_by("k", ["a", "b"]).over("1h"),
        },
    )
    assert [(o.name, o.window, o.width) for o in view.outputs] == [
        ("n_1h", "1h", 1),
        ("n_all", "all", 1),
        ("recent_3d", "3d", 3),
        ("kinds_1h", "1h", 2),
    ]


def test_aggregates_are_equal_when_they_say_the_same():
    view = View(
        "v",
        SOURCE,
        by="k",
        features={
            "a": count(where=lambda r: r.n > 1).over("1h"),
            "b": count(where=lambda row: row["n"] > 1).over("2h"),
            "c": share(lambda r: r.n > 1).over("1h"),
        },
    )
    a, b, c = (feature.aggregate for feature in view.features)
    assert a == b
    assert hash(a) == hash(b)
    assert a != c


def test_rules_may_be_objects_or_text():
    fields = {"i": Int(), "k": String(), "t": Timestamp()}
    with_text = Source(
        "x", id="i", key="k", event_time="t", fields=fields, clean={"i": "clip(0, 9)", "k": "strip"}
    )
    with_objects = Source(
        "x", id="i", key="k", event_time="t", fields=fields, clean={"i": clip(0, 9), "k": strip}
    )
    assert with_text.canonical() == with_objects.canonical()
