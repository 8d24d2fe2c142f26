"""Names and texts of a definition that are str only by subclass, or no text at all,
or megabytes long.
"""

import json
from decimal import Decimal as Exact
from enum import StrEnum

import msgspec
import numpy as np
import pytest

from twinstream import (
    Bool,
    Int,
    Label,
    Model,
    Pipeline,
    Source,
    Timestamp,
    View,
    choice,
    clip,
    count,
    mean,
    one_of,
)
from twinstream.errors import DefinitionError


class Name(StrEnum):
    I = "i"
    T = "t"
    B = "b"
    HOUR = "1h"
    ALL = "all"
    THING = "thing"
    WIDTH = "width"
    AUC = "auc"
    WIDE = "wide"
    LOSS = "binary_cross_entropy"


def pipeline(as_name) -> Pipeline:
    fields = {as_name("i"): Int(), as_name("t"): Timestamp(), as_name("b"): Bool()}
    i, t, b, hour = map(as_name, ("i", "t", "b", "1h"))
    thing = as_name("thing")
    source = Source(
        thing,
        fields=fields,
        id=i,
        key=i,
        event_time=t,
        known_at=t,
        dedupe=hour,
        clean={i: "required"},
    )
    features = {thing: mean(i).over(hour, as_name("all")), b: count(where=b).over(hour)}
    view = View(thing, source, by=[i], features=features, where=b)
    model = Model(
        thing,
        spine=source,
        at=t,
        views=[view],
        label=Label(thing, source, on=[i], horizon=hour, value=b),
        request=[i],
        derive={as_name("wide"): lambda r: r[i] + 1},
        loss=as_name("binary_cross_entropy"),
        search={as_name("width"): choice(16, 32)},
        good_enough={as_name("auc"): 0.5},
    )
    return Pipeline(thing, models=[model])


@pytest.mark.parametrize("as_name", [np.str_, Name])
def test_names_that_are_str_by_subclass_are_plain(as_name) -> None:
    """Such a name once passed all checks, and the digest, events and paths of it raised a bare
    TypeError.
    """
    plain, odd = pipeline(str), pipeline(as_name)
    assert odd.digest == plain.digest
    source, view, model = odd.sources[0], odd.views[0], odd.models[0]
    texts = [
        *(odd.name, source.name, source.key, source.event_time, source.known_at),
        *(*source.fields, *source.id_fields, *source.clean),
        *(view.name, *view.by, *(o.name for o in view.outputs), *(o.window for o in view.outputs)),
        *(model.name, model.at, model.loss, *model.request, *model.derive, *model.search),
        *(*model.good_enough, model.label.name, model.label.horizon, *model.label.on),
        *(name for expression in model.derive.values() for name in expression.fields()),
        *(text for f in view.features for text in (f.name, f.aggregate.field or "")),
    ]
    assert {type(text) for text in texts} == {str}
    assert msgspec.json.encode(json.loads(json.dumps(odd.canonical())))


class Unlike:
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("never compared")


@pytest.mark.parametrize("window", [np.array([1, 2]), np.void(b"x"), Unlike(), b"all", ("all",)])
def test_a_window_that_is_no_text_is_refused_without_being_compared(window) -> None:
    with pytest.raises(DefinitionError) as caught:
        count().over(window)
    assert caught.value.file == __file__


SOURCE = pipeline(str).sources[0]
LONG = "x" * 1_000_000
HUGE = Exact("1e1000000")


@pytest.mark.parametrize(
    "define",
    [
        lambda: View("v", SOURCE, by="i", features={"n": count(LONG).over("1h")}),
        lambda: View("v", SOURCE, by="i", features={"n": mean(LONG).over("1h")}),
        lambda: View("v", SOURCE, by="i", features={"n": count(where=LONG).over("1h")}),
        lambda: View("v", SOURCE, by="i", where=lambda r: r[LONG], features={}),
        lambda: View(
            "v", SOURCE, by="i", features={"n": count().over("1h")}, where=lambda r: r[LONG]
        ),
        lambda: View(
            "v",
            SOURCE,
            by="i",
            features={"n": count(where=lambda r: getattr(r.t, LONG)).over("1h")},
        ),
        lambda: Label("l", SOURCE, on="i", horizon="1h", value=LONG),
        lambda: Source(
            "s", fields=SOURCE.fields, id="i", key="i", event_time="t", clean={"i": one_of(HUGE)}
        ),
        lambda: Source(
            "s", fields=SOURCE.fields, id="i", key="i", event_time="t", clean={"i": clip(0, HUGE)}
        ),
        lambda: Label("l", SOURCE, on=["i", "i"], horizon="1h", value="b"),
    ],
)
def test_a_refusal_fits_a_line_whatever_was_written(define) -> None:
    with pytest.raises(DefinitionError) as caught:
        define()
    assert len(str(caught.value)) < 2_000
    assert caught.value.file == __file__
