"""Each parameter of a definition is given each kind of bad value:
a DefinitionError with file, line and remedy, or it is a good one.
"""

import inspect
import json
from decimal import Decimal as Exact
from enum import IntEnum, StrEnum

import numpy as np
import pytest

from tests.unit.define.test_refusals import departures, label, model, view
from twinstream import (
    Bool,
    Decimal,
    Int,
    Label,
    Model,
    Pipeline,
    Source,
    String,
    Timestamp,
    View,
    between,
    choice,
    clip,
    count,
    count_by,
    int_uniform,
    last_k,
    log_uniform,
    maximum,
    mean,
    one_of,
    quantile,
    share,
    uniform,
)
from twinstream.define import records
from twinstream.define.key_length import LONGEST_KEY
from twinstream.errors import DefinitionError
from twinstream.protocol.training_settings import TABULAR, TRAINING


def broken():
    yield "origin"
    raise RuntimeError("no more")


class Unprintable:
    def __repr__(self):
        raise RuntimeError("no text")


VALUES = {
    "none": None,
    "true": True,
    "one": 1,
    "a fraction": 2.5,
    "nan": float("nan"),
    "infinity": float("inf"),
    "a signalling nan": Exact("sNaN"),
    "a huge number": 2**63,
    "a number of 5,000 digits": 10**5000,
    "numpy's nan": np.float64("nan"),
    "a moment of numpy": np.datetime64("2020-01-01"),
    "no text": "",
    "a text": "x y",
    "half a character": "\ud800",
    "bytes": b"x",
    "an object": object(),
    "an unprintable object": Unprintable(),
    "a list": [1],
    "nothing": [],
    "a dictionary": {"a": 1},
    "a set": {"a"},
    "a class": int,
    "a list of lists": [[1]],
}
VALUES_MADE = {"a generator that fails": broken}

PARAMETERS = {
    "Source.name": lambda v: Source(
        v, fields={"i": Int(), "t": Timestamp()}, id="i", key="i", event_time="t"
    ),
    "Source.fields": lambda v: departures(fields=v),
    "Source.field": lambda v: departures(fields={"flight_id": v}),
    "Source.id": lambda v: departures(id=v),
    "Source.key": lambda v: departures(key=v),
    "Source.event_time": lambda v: departures(event_time=v),
    "Source.known_at": lambda v: departures(known_at=v),
    "Source.clean": lambda v: departures(clean=v),
    "Source.clean.rule": lambda v: departures(clean={"wind": v}),
    "Source.clean.bound": lambda v: departures(clean={"delay_minutes": clip(0, v)}),
    "Source.clean.between": lambda v: departures(clean={"wind": between(v, 100)}),
    "Source.clean.one_of": lambda v: departures(clean={"origin": one_of("a", v)}),
    "Source.clean.one_of.bool": lambda v: departures(clean={"cancelled": one_of(v)}),
    "Source.dedupe": lambda v: departures(dedupe=v),
    "Decimal.places": Decimal,
    "Int.optional": lambda v: Int(optional=v),
    "View.source": lambda v: View("v", v, by="origin", features={"n": count().over("1h")}),
    "View.by": lambda v: view(by=v),
    "View.features": lambda v: view(features=v),
    "View.feature": lambda v: view(features={"x": v}),
    "View.where": lambda v: view(where=v),
    "over": lambda v: count().over(v),
    "count.field": lambda v: view(features={"x": count(v).over("1h")}),
    "mean.field": lambda v: view(features={"x": mean(v).over("1h")}),
    "mean.where": lambda v: view(features={"x": mean("wind", where=v).over("1h")}),
    "share.condition": lambda v: view(features={"x": share(v).over("1h")}),
    "last_k.k": lambda v: last_k("wind", v),
    "quantile.q": lambda v: quantile("wind", v),
    "count_by.categories": lambda v: view(features={"x": count_by("origin", v).over("1h")}),
    "count_by.category": lambda v: view(features={"x": count_by("origin", ["a", v]).over("1h")}),
    "count_by.category.int": lambda v: view(
        features={"x": count_by("delay_minutes", [0, v]).over("1h")}
    ),
    "count_by.category.bool": lambda v: view(
        features={"x": count_by("cancelled", [False, v]).over("1h")}
    ),
    "==.bool": lambda v: view(where=lambda r: r.cancelled == v),
    "==.text": lambda v: view(where=lambda r: r.origin == v),
    "<.int": lambda v: view(where=lambda r: r.delay_minutes < v),
    "<.moment": lambda v: view(where=lambda r: r.departed_at < v),
    "&": lambda v: view(where=lambda r: r.cancelled & v),
    "isin": lambda v: view(where=lambda r: r.origin.isin(v)),
    "isin.bool": lambda v: view(where=lambda r: r.cancelled.isin([v])),
    "isin.text": lambda v: view(where=lambda r: r.origin.isin(["a", v])),
    "isin.int": lambda v: view(where=lambda r: r.delay_minutes.isin([v])),
    "isin.moment": lambda v: view(where=lambda r: r.departed_at.isin([v])),
    "r[name]": lambda v: view(where=lambda r: r[v] == 1),
    "Label.name": lambda v: Label(v, departures(), on="flight_id", horizon="1h", value="cancelled"),
    "Label.source": lambda v: Label("late", v, on="flight_id", horizon="1h", value="cancelled"),
    "Label.on": lambda v: label(on=v),
    "Label.horizon": lambda v: label(horizon=v),
    "Label.value": lambda v: label(value=v),
    "Label.settles": lambda v: label(settles=v),
    "Label.missing": lambda v: label(missing=v),
    "Label.missing.number": lambda v: label(value="wind", missing=v),
    "Model.name": lambda v: Model(
        v, spine=departures(), at="departed_at", views=[view()], label=label()
    ),
    "Model.spine": lambda v: model(spine=v),
    "Model.at": lambda v: model(at=v),
    "Model.views": lambda v: model(views=v),
    "Model.label": lambda v: model(label=v),
    "Model.request": lambda v: model(request=v),
    "Model.derive": lambda v: model(derive=v),
    "Model.derived": lambda v: model(derive={"x": v}),
    "Model.network": lambda v: model(network=v),
    "Model.loss": lambda v: model(loss=v),
    "Model.search": lambda v: model(search=v),
    "Model.search_budget": lambda v: model(search={"dropout": choice(0.1, 0.2)}, search_budget=v),
    "Model.search.width": lambda v: model(search={"width": v}),
    "Model.search.dropout": lambda v: model(search={"dropout": choice(v)}),
    "Model.search.learning_rate": lambda v: model(search={"learning_rate": v}),
    "Model.search.batch_size": lambda v: model(search={"batch_size": choice(16, v)}),
    "Model.good_enough": lambda v: model(good_enough=v),
    "Model.good_enough.auc": lambda v: model(good_enough={"auc": v}),
    "choice": choice,
    "uniform": lambda v: uniform(0, v),
    "log_uniform": lambda v: log_uniform(v, 5000),
    "int_uniform": lambda v: int_uniform(1, v),
    "Pipeline.name": lambda v: Pipeline(v, models=[model()]),
    "Pipeline.models": lambda v: Pipeline("p", models=v),
    "Pipeline.views": lambda v: Pipeline("p", models=[model()], views=v),
}

GOOD = {
    "none": {
        "Source.known_at",
        "Source.clean",
        "View.where",
        "count.field",
        "mean.where",
        "Label.missing",
        "Label.missing.number",
        "Model.request",
        "Model.derive",
        "Model.search",
        "Model.search_budget",
        "Model.good_enough",
    },
    "true": {
        "Source.clean.one_of.bool",
        "Int.optional",
        "count_by.category.bool",
        "==.bool",
        "&",
        "isin.bool",
        "Label.missing",
        "choice",
    },
    "one": {
        "Source.clean.bound",
        "Source.clean.between",
        "Decimal.places",
        "last_k.k",
        "count_by.category.int",
        "<.int",
        "<.moment",
        "isin.int",
        "isin.moment",
        "Label.missing",
        "Label.missing.number",
        "Model.search.width",
        "Model.search.dropout",
        "Model.search.learning_rate",
        "Model.search.batch_size",
        "Model.good_enough.auc",
        "choice",
        "uniform",
        "log_uniform",
        "int_uniform",
    },
    "a fraction": {
        "Source.clean.between",
        "<.int",
        "isin.int",
        "Label.missing.number",
        "Model.search.learning_rate",
        "Model.good_enough.auc",
        "choice",
        "uniform",
        "log_uniform",
    },
    "a huge number": {"Label.missing.number", "Model.good_enough.auc"},
    "no text": {"Source.clean.one_of", "count_by.category", "==.text", "isin.text", "choice"},
    "a text": {"Source.clean.one_of", "count_by.category", "==.text", "isin.text", "choice"},
    "nothing": {"isin", "Model.request", "Model.views", "Pipeline.views", "Source.clean.rule"},
    "a set": {"isin"},
    "a dictionary": {"isin"},
    "a class": {"Model.network"},
}


def refusal(make, value):
    """Why a definition with it is refused; None when it is read, and can be digested."""
    try:
        made = make(value)
        if hasattr(made, "canonical"):
            json.dumps(made.canonical())
    except DefinitionError as error:
        return error
    return None


@pytest.mark.parametrize("value", [*VALUES, *VALUES_MADE])
@pytest.mark.parametrize("parameter", PARAMETERS)
def test_a_bad_value_is_refused_with_file_and_line(parameter, value):
    given = VALUES[value] if value in VALUES else VALUES_MADE[value]()
    error = refusal(PARAMETERS[parameter], given)
    assert (error is None) == (parameter in GOOD.get(value, ()))
    if error is not None:
        assert error.file in {__file__, inspect.getsourcefile(departures)}
        assert error.line > 0
        assert error.message


class Shift(IntEnum):
    EARLY = 2


class Route(StrEnum):
    NORTH = "n"


def test_numpys_scalars_and_enums_are_what_they_hold():
    plainly = view(
        features={
            "x": count_by("origin", ["n"]).over("1h"),
            "y": count_by("delay_minutes", [2]).over("1h"),
        }
    )
    other = view(
        features={
            "x": count_by("origin", [np.str_("n")]).over("1h"),
            "y": count_by("delay_minutes", np.array([2])).over("1h"),
        }
    )
    enums = view(
        features={
            "x": count_by("origin", list(Route)).over("1h"),
            "y": count_by("delay_minutes", [Shift.EARLY]).over("1h"),
        }
    )
    assert plainly.canonical() == other.canonical() == enums.canonical()
    for literal in (0.5, np.float64(0.5), np.float32(0.5), Exact("0.5"), Exact("0.500")):
        assert str(view(where=lambda r, x=literal: r.wind > x).where) == "(wind > 0.50)"
    assert str(view(where=lambda r: r.wind > np.float32(0.1)).where) == "(wind > 0.10)"
    assert str(view(where=lambda r: r.cancelled == np.True_).where) == "(cancelled == True)"


def test_a_literal_of_thirty_digits_is_not_rounded():
    with pytest.raises(DefinitionError, match="more digits than are kept"):
        view(where=lambda r: r.wind > Exact("2.66500000000000000000000000001"))


def test_what_is_listed_once_is_taken_once():
    whole = model(request=["origin", "delay_minutes"], views=[view()])
    from_generators = model(
        request=(n for n in ("origin", "delay_minutes")), views=(v for v in [view()])
    )
    assert from_generators.canonical() == whole.canonical()
    assert Pipeline("p", models=iter([whole])).digest == Pipeline("p", models=[whole]).digest
    assert view(by=(n for n in ("origin", "flight_id"))).by == ("origin", "flight_id")


def test_a_model_without_inputs_is_refused():
    with pytest.raises(DefinitionError, match="has no inputs") as caught:
        model(request=(), views=[])
    assert caught.value.file.endswith("test_refusals.py")


@pytest.mark.parametrize("window", ["366d", "400d", "53w", "8761h", "999999999w", "3٣d"])
def test_a_window_longer_than_the_algebra_keeps_is_refused(window):
    with pytest.raises(DefinitionError) as caught:
        count().over(window)
    assert caught.value.file == __file__


@pytest.mark.parametrize(
    "search",
    [
        {"larning_rate": 0.1},
        {"epochs": 3},
        {"loss": "mean_squared_error"},
        {"batch_size": 0},
        {"max_epochs": 0},
        {"batch_size": 64.0},
        {"batch_size": uniform(1, 9)},
        {"batch_size": int_uniform(0, 9)},
        {"learning_rate": -0.1},
        {"learning_rate": uniform(0, 1)},
        {"dropout": 1.5},
        {"width": choice("wide", 16)},
        {"seed": -1},
        {"patience": True},
    ],
)
def test_a_search_that_cannot_train_is_refused(search):
    with pytest.raises(DefinitionError, match=next(iter(search))):
        model(search=search)


def test_the_arguments_of_a_network_of_the_file_are_known():
    class Mine:
        def __init__(self, inputs, statistics, *, breadth):
            pass

    assert model(network=Mine, search={"breadth": 3}).search == {"breadth": 3}
    with pytest.raises(DefinitionError, match="did you mean 'breadth'"):
        model(network=Mine, search={"bredth": 3})
    assert model(network="elsewhere.Theirs", search={"bredth": 3})


def test_the_settings_of_training_have_one_home():
    from inspect import signature

    from train_svc.training import TrainingConfig
    from twinstream.nn.tabular import TabularNetwork

    assert {*TRAINING, "loss", "arguments"} == set(TrainingConfig.__struct_fields__)
    assert {*TABULAR, "inputs", "statistics"} == set(signature(TabularNetwork).parameters)


OURS = [
    "part",
    "label",
    "row",
    "group",
    "key",
    "view",
    "answers",
    "raw",
    "known_us",
    "position",
    "epoch",
    "at_us",
    "id",
    "value",
    "offset",
    "select",
    "from",
    "table",
    "order",
    "class",
    "def",
    "lambda",
    "none",
    "true",
    "null",
    "is_null",
    "isin",
    "partition",
    "fields",
    "owner",
    "index",
    "names",
    "columns",
    "record",
    "f0",
    "v1",
    "all",
]


def test_names_of_ours_are_legal_for_users_and_ours_for_none():
    fields = {name: Int() for name in OURS} | {"t": Timestamp()}
    source = Source("source", fields=fields, id="id", key="key", event_time="t")
    features = {name: maximum(name).over("1h", "all") for name in OURS}
    made = View(
        "view",
        source,
        by="part",
        features=features,
        where=lambda r: (r["class"] > 0) & (r.is_null > 0) & (r.fields > 0),
    )
    assert len(made.outputs) == 2 * len(OURS)
    decoded = records.Decoder(source, [made.by]).json(
        [json.dumps(dict.fromkeys(OURS, 1) | {"t": 0}).encode()]
    )
    assert decoded.errors == []
    for name in (
        "_raw",
        "_known_us",
        "_position",
        "_epoch",
        "_at_us",
        "_id",
        "a.b",
        "a-b",
        "ä",
        "a\x1fb",
        "1a",
        "A",
    ):
        with pytest.raises(DefinitionError):
            departures(fields={name: Int()})
    for name in ("a_b", "_a", "a.b", "a--b", "a-", "A", "a\x1fb", "a/b", "..", "a b"):
        with pytest.raises(DefinitionError):
            Pipeline(name, models=[model()])


def test_outputs_of_one_name_are_refused_whatever_feature_gives_them():
    with pytest.raises(DefinitionError, match="cannot"):
        view(features={"a.1h": count().over("1h")})
    made = view(features={"a": count().over("1h"), "a_1h": count().over("5m", "all")})
    assert [o.name for o in made.outputs] == ["a_1h", "a_1h_5m", "a_1h_all"]


def keyed(n, kind):
    fields = {f"n{i}": kind for i in range(n)} | {"id": String(), "t": Timestamp()}
    return Source("wide", fields=fields, id="id", key="id", event_time="t")


@pytest.mark.parametrize("kind", [Int(), Decimal(2)])
def test_a_long_key_of_numbers_is_a_dead_letter_and_a_short_one_counts(kind):
    source = keyed(25, kind)
    by = tuple(f"n{i}" for i in range(25))
    decoder = records.Decoder(source, [by])
    long = {name: -(2**62) if isinstance(kind, Int) else "-46116860184273879.04" for name in by} | {
        "id": "a",
        "t": 0,
    }
    short = dict.fromkeys(by, 7) | {"id": "b", "t": 0}
    decoded = decoder.json([json.dumps(x).encode() for x in (long, short)])
    assert [i for i, _ in decoded.errors] == [0]
    assert f"longer than {LONGEST_KEY} bytes" in decoded.errors[0][1]
    assert decoded.ids.to_pylist() == ["b"]


def test_a_key_that_no_values_fit_is_refused():
    source = keyed(300, Int())
    with pytest.raises(DefinitionError, match="take fewer fields") as caught:
        View("v", source, by=tuple(f"n{i}" for i in range(300)), features={"n": count().over("1h")})
    assert caught.value.file == __file__
    with pytest.raises(DefinitionError, match="take fewer fields"):
        Source(
            "s",
            fields={f"b{i}": Bool() for i in range(97)} | {"t": Timestamp()},
            id=tuple(f"b{i}" for i in range(97)),
            key="b0",
            event_time="t",
        )


def test_bounds_of_exact_decimals_hold_in_questions_too():
    from twinstream.features.request import QuestionForm

    source = departures(clean={"wind": between(Exact("0.5"), Exact("99.5"))})
    form = QuestionForm(model(spine=source, request=("wind",), views=[]))
    assert form.decode([{"wind": 0.5}], 1_700_000_000_000_000).batch.column("wind").to_pylist() == [
        50
    ]


@pytest.mark.parametrize("budget", ["10", "ten minutes", "0s", 600, ["1h"]])
def test_a_budget_that_is_no_span_of_time_is_refused(budget):
    with pytest.raises(DefinitionError, match="search_budget"):
        model(search={"learning_rate": choice(0.1, 0.01)}, search_budget=budget)


def test_a_budget_bounds_a_search_and_nothing_else():
    searched = {"learning_rate": choice(0.1, 0.01)}
    found = model(search=searched, search_budget="10m")
    assert found.search_seconds == 600.0
    assert model(search=searched).search_seconds is None
    assert "search_budget" not in model(search=searched).canonical()
    assert found.canonical()["search_budget"] == "10m"
    with pytest.raises(DefinitionError, match="nothing to choose"):
        model(search={"learning_rate": 0.1}, search_budget="10m")
