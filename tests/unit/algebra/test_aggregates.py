"""An aggregate is one module; what is derived from all of them is up to date."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

import twinstream
from tests.laws.cases import AGGREGATES
from tests.laws.cases import source as sales
from twinstream import Int, Source, String, Timestamp, View, time_since_last
from twinstream.algebra import aggregates, fold, generate, kernel
from twinstream.algebra.pit import Events, Spine, point_in_time
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.slots import Declaration
from twinstream.audit import plain

SECOND, MINUTE, DAY = 1_000_000, 60_000_000, 86_400_000_000
NOON = 15_000 * DAY + 12 * 3_600 * SECOND

source = Source(
    "visits",
    id="id",
    key="who",
    event_time="at",
    fields={
        "id": String(),
        "who": String(),
        "at": Timestamp(),
        "page": String(optional=True),
        "seconds": Int(),
    },
)
view = View(
    "by-who",
    source,
    by="who",
    features={
        "since": time_since_last().over("1h", "all"),
        "since_page": time_since_last("page").over("1h"),
        "since_long": time_since_last(where=lambda r: r.seconds > 60).over("1h"),
    },
)


def visit(at: int, page: str | None, seconds: int) -> dict[str, object]:
    return {"id": f"{at}", "who": "ann", "at": at, "page": page, "seconds": seconds}


VISITS = [
    visit(NOON - 90 * MINUTE, "home", 100),
    visit(NOON - 40 * MINUTE, "cart", 100),
    visit(NOON - 20 * MINUTE - 1, "pay", 5),
    visit(NOON - 10 * MINUTE, None, 5),
]


def answers_of_every_reader(visits: list[dict[str, object]], at_us: int) -> list[list[float]]:
    """What the fold, a read, a read of unmerged parts, a training row and the audit answer."""
    plan, key = ViewPlan(view), b"ann"
    position = np.arange(len(visits))
    batch = pa.RecordBatch.from_pylist(visits, schema=source.schema)
    parts = [
        kernel.lift(plan, batch.slice(i, 1), position[i : i + 1]).words for i in range(len(visits))
    ]
    known = np.array([one["at"] for one in visits], np.int64)
    spine = Spine([key], np.array([at_us]), np.array([2**62]))
    rows = [plain.Row(one, i) for i, one in enumerate(visits)]
    audited = plain.answers(view, rows, at_us)
    numbers = [audited[output.name].numbers[0] for output in view.outputs]
    found = [
        fold.answers(view, list(zip(visits, position.tolist(), strict=True)), key, at_us),
        kernel.read(plan, kernel.lift(plan, batch, position).words, at_us).tolist(),
        kernel.read(plan, np.concatenate([*parts, np.zeros(0, np.int64)]), at_us).tolist(),
        point_in_time(plan, Events(batch, position, known), spine)[0].tolist(),
        [math.nan if number is None else number for number in numbers],
    ]
    return [[value for value, _ in zip(one, numbers, strict=True)] for one in found]


@pytest.mark.parametrize(
    ("visits", "at_us", "expected"),
    [
        ([], NOON, [math.nan] * 4),
        (VISITS[:1], NOON, [math.nan, 5400.0, math.nan, math.nan]),
        (VISITS, NOON, [600.0, 600.0, 1200.000001, 2400.0]),
        (VISITS, NOON + 7, [600.000007, 600.000007, 1200.000008, 2400.000007]),
        (VISITS, NOON - 10 * MINUTE - 1, [600.0, -1e-6, 600.0, 1799.999999]),
    ],
    ids=["no record", "before the window", "at noon", "to the microsecond", "in the future"],
)
def test_time_since_last_is_one_number_for_every_reader(visits, at_us, expected):
    """The last case: a record of the tile after the question's counts for `all` alone."""
    for found in answers_of_every_reader(visits, at_us):
        assert found == pytest.approx(expected, rel=1e-15, nan_ok=True)


def test_answer_depends_on_the_moment_within_one_tile():
    first, second = (answers_of_every_reader(VISITS, NOON + s * SECOND)[1] for s in (0, 1))
    assert np.subtract(second, first).tolist() == pytest.approx([1.0] * 4)


def test_every_aggregate_is_a_whole_module_with_a_law_and_an_audit():
    for kind in aggregates.kinds():
        module = aggregates.module_of(kind)
        assert module.__doc__.startswith(kind)
        assert callable(module.answer)
        assert len(module.DOCUMENTED) == 3
        name = generate.constructor(kind)
        assert getattr(twinstream, name) is getattr(module, name)
        assert name in twinstream.__all__
    of_labels = {"any", "time_to_first"}
    assert aggregates.kinds() == sorted(AGGREGATES) == sorted(plain._KINDS.keys() - of_labels)


@pytest.mark.parametrize("kind", aggregates.kinds())
def test_declaration_has_the_form_of_its_module(kind):
    aggregate = AGGREGATES[kind]().over("1h").bind("x", sales.fields, sales.owner).aggregate
    found = aggregates.declaration(kind, aggregate.field, aggregate.where, aggregate.params)
    assert isinstance(found, Declaration)
    assert found.form == aggregates.module_of(kind).FORM
    assert found.width == aggregate.width


def test_what_is_derived_from_the_aggregates_is_up_to_date():
    stale = [path.name for path, text in generate.written().items() if path.read_text() != text]
    assert stale == [], "run `python -m twinstream.algebra.generate`"


def test_two_answers_of_one_form_are_refused():
    modules = {kind: aggregates.module_of(kind) for kind in ("count", "mean")}
    twin = type("Twin", (), {"FORM": 0, "answer": modules["mean"].answer})
    with pytest.raises(ValueError, match="form 0"):
        generate.homes_of_answers(modules | {"twin": twin})


def test_a_definition_is_read_without_the_compiler():
    code = "import sys, twinstream; twinstream.time_since_last(); print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
