"""Every mistake in a definition is refused at the user's line, with what to do."""

import inspect

import pytest

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
    choice,
    count,
    count_by,
    int_uniform,
    last_k,
    log_uniform,
    maximum,
    mean,
    quantile,
    share,
    sum_,
    time_to_first,
    uniform,
)
from twinstream.errors import DefinitionError
from twinstream.mesh.pipeline_file import load

FIELDS = {
    "flight_id": String(),
    "origin": String(),
    "departed_at": Timestamp(),
    "delay_minutes": Int(optional=True),
    "cancelled": Bool(),
    "wind": Decimal(2, optional=True),
}


def departures(**change):
    arguments = {"fields": FIELDS, "id": "flight_id", "key": "origin", "event_time": "departed_at"}
    return Source("departures", **(arguments | change))


def view(**change):
    arguments = {"by": "origin", "features": {"flights": count().over("1h")}}
    return View("by-origin", departures(), **(arguments | change))


def label(**change):
    arguments = {"on": "flight_id", "horizon": "24h", "value": lambda r: r.delay_minutes >= 15}
    return Label("late", departures(), **(arguments | change))


def model(**change):
    arguments = {"spine": departures(), "at": "departed_at", "views": [view()], "label": label()}
    return Model("late-arrival", **(arguments | change))


def feature(declared):
    return lambda: view(features={"x": declared()})


MISTAKES = {
    "a label's aggregate of a field elsewhere": (
        lambda: label(value=sum_("dely") > 1),
        "field 'dely' is not in source 'departures'; did you mean 'delay_minutes'?",
    ),
    "a label's aggregate of text": (
        lambda: label(value=maximum("origin") > 1),
        "maximum of value of label 'late' needs numbers, but 'origin' is a String",
    ),
    "a label's where= of a field elsewhere": (
        lambda: label(value=count(where=lambda r: r.dely > 3)),
        "did you mean 'delay_minutes'?",
    ),
    "a label with windows": (
        lambda: label(value=count().over("1h") > 0),
        "value of label 'late' has a window of its own: .over('1h',); leave it out",
    ),
    "a label of many numbers": (
        lambda: label(value=last_k("delay_minutes", 3)),
        "is last_k(...), which a label cannot be; take one of any_, count, sum_",
    ),
    "a label compared twice": (
        lambda: label(value=0 < count() < 3),
        "has no truth value while a definition is read; compare one aggregate with one number",
    ),
    "labels joined": (
        lambda: label(value=(count() > 0) & (count() < 3)),
        "compare one aggregate with one number, as in count() > 0",
    ),
    "a label compared with another aggregate": (
        lambda: label(value=count() > count("delay_minutes")),
        "compare one aggregate with one number",
    ),
    "a label compared with text": (
        lambda: label(value=count() > "3"),
        "what value of label 'late' is compared with is '3'; give a number",
    ),
    "a label compared with no number": (
        lambda: label(value=count() > float("inf")),
        "what value of label 'late' is compared with",
    ),
    "an aggregate that settles at once": (
        lambda: label(value=count() > 0, settles="at once"),
        "settles at once, but is over all records of its horizon; leave settles= out",
    ),
    "a number where a condition is learnt": (
        lambda: model(label=label(value=count())),
        "a number does not; compare it to get a condition, as in count() > 0",
    ),
    "a feature that looks ahead": (
        feature(lambda: time_to_first().over("1h")),
        "feature 'x' is time_to_first(...), which looks from the question on; only a label can",
    ),
    "a feature that is compared": (
        feature(lambda: count().over("1h") > 0),
        "no aggregate",
    ),
    "a label that settles somehow": (
        lambda: label(settles="soon"),
        "settles= of label 'late' is 'soon'; give 'horizon', or 'at once'",
    ),
    "a misspelt field": (
        feature(lambda: mean("dely").over("1h")),
        "field 'dely' is not in source 'departures'; did you mean 'delay_minutes'?",
    ),
    "a misspelt field in a lambda": (
        lambda: view(where=lambda r: r.delay_minute > 3),
        "did you mean 'delay_minutes'?",
    ),
    "a mean of text": (
        feature(lambda: mean("origin").over("1h")),
        "needs numbers, but 'origin' is a String",
    ),
    "no window": (feature(lambda: mean("delay_minutes")), "feature 'x' has no window"),
    "an empty window list": (feature(lambda: mean("delay_minutes").over()), "names no window"),
    "a strange window": (feature(lambda: count().over("1 hour")), '"24h"'),
    "a tiny window": (feature(lambda: count().over("1m")), 'the shortest window is "5m"'),
    "a window twice": (feature(lambda: count().over("1h", "1h")), "named twice"),
    "an impossible quantile": (
        feature(lambda: quantile("delay_minutes", 90).over("1h")),
        "q lies between 0 and 1",
    ),
    "too many last values": (
        feature(lambda: last_k("delay_minutes", 1000).over("1h")),
        "from 1 to 64",
    ),
    "categories of another type": (
        feature(lambda: count_by("origin", [1, 2]).over("1h")),
        "1 in the categories of count_by('origin') is not a str",
    ),
    "categories as one text": (
        feature(lambda: count_by("origin", "JFK").over("1h")),
        "list of distinct categories",
    ),
    "a share of a number": (feature(lambda: share("delay_minutes").over("1h")), "not a condition"),
    "a feature that is no aggregate": (lambda: view(features={"x": 3}), "no aggregate"),
    "no features": (lambda: view(features={}), "has no features"),
    "a feature's name with a hyphen": (
        lambda: view(features={"a-b": count().over("1h")}),
        "cannot name a feature",
    ),
    "an unknown key": (lambda: view(by="orign"), "did you mean 'origin'?"),
    "a key twice": (lambda: view(by=("origin", "origin")), "twice"),
    "and instead of &": (
        lambda: view(where=lambda r: r.delay_minutes > 3 and r.cancelled),
        "use & | ~ instead of and, or, not",
    ),
    "a chained comparison": (
        lambda: view(where=lambda r: 3 < r.delay_minutes < 5),
        "split a < b < c",
    ),
    "a number beside text": (lambda: view(where=lambda r: r.origin > 3), "a string and a number"),
    "a condition that is a number": (
        lambda: view(where=lambda r: r.delay_minutes + 1),
        "not a condition",
    ),
    "a condition that is no expression": (lambda: view(where=lambda _: True), "not an expression"),
    "Python that cannot be recorded": (
        lambda: view(where=lambda r: len(r.origin) > 3),
        "cannot be recorded",
    ),
    "an unknown part of a moment": (
        lambda: view(where=lambda r: r.departed_at.our > 3),
        "did you mean 'hour'?",
    ),
    "a moment without a zone": (
        lambda: view(where=lambda r: r.departed_at > "2013-01-01T00:00:00"),
        "has no time zone",
    ),
    "none instead of is_null": (
        lambda: view(where=lambda r: r.delay_minutes == None),  # noqa: E711
        "use .is_null()",
    ),
    "a class instead of a type": (lambda: departures(fields=FIELDS | {"x": Int}), "call it: Int()"),
    "a type that is none": (lambda: departures(fields=FIELDS | {"x": int}), "take one of"),
    "decimals without places": (lambda: Decimal("2"), "Decimal(2)"),
    "an id that is no field": (lambda: departures(id="id"), "id of source 'departures' is 'id'"),
    "an event time that is text": (
        lambda: departures(event_time="origin"),
        "it must be a Timestamp",
    ),
    "a source's name in capitals": (
        lambda: Source(
            "Departures", fields=FIELDS, id="flight_id", key="origin", event_time="departed_at"
        ),
        "lower-case",
    ),
    "a field's name in capitals": (
        lambda: departures(fields=FIELDS | {"Delay": Int()}),
        "lower-case",
    ),
    "a rule on no field": (
        lambda: departures(clean={"winds": "clip(0, 200)"}),
        "did you mean 'wind'?",
    ),
    "a rule that is none": (
        lambda: departures(clean={"wind": "clamp(0, 200)"}),
        "is not a cleaning rule",
    ),
    "a rule that is no call": (
        lambda: departures(clean={"wind": "clip(0, "}),
        'write "clip(0, 200)"',
    ),
    "bounds the wrong way round": (
        lambda: departures(clean={"wind": "clip(200, 0)"}),
        "write clip(0, 200)",
    ),
    "a bound with too many places": (
        lambda: departures(clean={"wind": "clip(0, 0.001)"}),
        "at most 2 decimal places",
    ),
    "text cleaning of a number": (lambda: departures(clean={"wind": "lower"}), "is for text"),
    "a horizon that is none": (
        lambda: label(horizon="a day"),
        "horizon 'a day' is not a span of time",
    ),
    "a label of text": (lambda: label(value=lambda r: r.origin), "give a condition or a number"),
    "a label on an unknown field": (lambda: label(on="flight"), "did you mean 'flight_id'?"),
    "a question's time that is none": (lambda: model(at="origin"), "is not a Timestamp"),
    "a timestamp as an input": (lambda: model(request=("departed_at",)), "derive from it"),
    "an unknown input": (lambda: model(request=("orign",)), "did you mean 'origin'?"),
    "a derived input of text": (lambda: model(derive={"x": lambda r: r.origin}), "not a number"),
    "a derived input with a field's name": (
        lambda: model(derive={"origin": lambda r: r.departed_at.hour}),
        "give it another name",
    ),
    "a loss that does not fit": (
        lambda: model(loss="mean_squared_error"),
        "does not fit label 'late'",
    ),
    "an unknown loss": (lambda: model(loss="bce"), "loss 'bce'"),
    "an unknown metric": (lambda: model(good_enough={"acu": 0.7}), "did you mean 'auc'?"),
    "a search space that is none": (lambda: model(search={"width": [1, 2]}), "take choice(...)"),
    "a log range from zero": (lambda: log_uniform(0, 1), "above 0"),
    "a range the wrong way round": (lambda: uniform(1, 0), "the smaller first"),
    "a whole range of fractions": (lambda: int_uniform(0.5, 3), "use uniform"),
    "a choice of nothing": (choice, "no plain values"),
    "a network that is none": (lambda: model(network=3), "a subclass of torch.nn.Module"),
    "no models": (lambda: Pipeline("flights", models=[]), "one or more Model"),
    "two different views of one name": (
        lambda: Pipeline("flights", models=[model()], views=[view(by="flight_id")]),
        "two different views named 'by-origin'",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused_with_file_and_remedy(mistake):
    define, says = MISTAKES[mistake]
    with pytest.raises(DefinitionError) as caught:
        define()
    assert says in str(caught.value)
    assert caught.value.file == __file__
    assert caught.value.line > 0


def test_the_line_is_that_of_the_aggregate_when_its_field_is_wrong():
    here = inspect.currentframe().f_lineno
    with pytest.raises(DefinitionError) as caught:
        View(
            "by-origin",
            departures(),
            by="origin",
            features={
                "a": count().over("1h"),
                "b": mean("dely").over("1h"),
            },
        )
    assert caught.value.line == here + 8


def test_a_file_with_a_mistake_is_refused_at_its_line(tmp_path):
    for text, line, says in [
        ("from twinstream import *\nx = 1\nDecimal(-1)\n", 3, "Decimal(2)"),
        ("x = 1\ny = = 2\n", 2, "syntax error"),
        ("def f():\n    return 1 / 0\n\nf()\n", 2, "ZeroDivisionError"),
        ("import a_module_that_is_not_there\n", 1, "a_module_that_is_not_there"),
        ("x = 1\n", 1, "end the file with pipeline = Pipeline(...)"),
    ]:
        path = tmp_path / "pipeline.py"
        path.write_text(text)
        with pytest.raises(DefinitionError) as caught:
            load(path)
        assert (caught.value.file, caught.value.line) == (str(path), line)
        assert says in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DefinitionError, match="no definition file"):
        load(tmp_path / "nowhere.py")
