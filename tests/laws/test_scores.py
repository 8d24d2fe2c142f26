"""Batch scoring says of every row what serving would have said: the same row is a question or is
refused, its features are those of a fold of what was known, its score is the same to the byte.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from preprocess_svc.batch.scoring.asking import (
    ALL_US,
    UntimedRows,
    WorkFolders,
    asked_of,
    questions,
)
from preprocess_svc.batch.scoring.scoring import Chosen, Score, digest_of_scores
from preprocess_svc.batch.training_sets.features import ViewFeatures
from preprocess_svc.batch.training_sets.parts import RowParts
from schemas.events import Release
from tests.laws.test_quick_form import AT, FORM, MODEL
from tests.unit.api.fakes import model_files
from tests.unit.train.material import shop
from twinstream.algebra.fold import answers as folded
from twinstream.audit import plain
from twinstream.errors import RecordError
from twinstream.features.request import QuestionForm
from twinstream.features.table import TableForm
from twinstream.mesh.settings import MeshSettings
from twinstream.nn import TabularNetwork
from twinstream.nn.files import from_files
from twinstream.nn.scorer import Scorer
from twinstream.protocol.scores import PART_BITS, ScoreOrigin

TABLE = TableForm(MODEL)
TEXT = st.none() | st.text(max_size=3) | st.sampled_from(["x", " x", "", "\x1f", "é", "y" * 500])
MOMENTS = st.integers(-(1 << 62), 1 << 62) | st.integers(AT - 10**15, AT + 10**15)
COLUMNS: dict[str, tuple[pa.DataType, Any]] = {
    "id": (pa.string(), TEXT),
    "who": (pa.string(), TEXT),
    "number": (pa.int64(), st.none() | st.integers(-9, 120) | st.integers(-(1 << 63), 2**63 - 1)),
    "price": (pa.float64(), st.none() | st.floats(-20, 1200) | st.sampled_from([2.675, 1e16])),
    "flag": (pa.bool_(), st.none() | st.booleans()),
    "at": (pa.int64(), st.none() | MOMENTS),
    "due": (pa.timestamp("us", "UTC"), st.none() | st.integers(AT - 10**15, AT + 10**15)),
    "must": (pa.string(), TEXT),
    "kind": (pa.string(), st.sampled_from([None, "a", "B", "c", ""])),
}
ROWS = st.lists(st.fixed_dictionaries({n: s for n, (_, s) in COLUMNS.items()}), max_size=6)
GOOD = {"id": "i", "who": "x", "number": 1, "price": 1.5, "flag": True, "at": AT, "due": AT}
GOOD |= {"must": "m", "kind": "a"}


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.table({n: pa.array([r[n] for r in rows], kind) for n, (kind, _) in COLUMNS.items()})


def asked_by_request(row: dict[str, Any]) -> dict[str, Any] | str:
    """The stored row, or the field for which a request with it is refused."""
    try:
        question = FORM.decode([row], AT)
    except RecordError as error:
        return error.field
    for fault in FORM.unjoinable([row]):
        return fault.field
    return question.batch.to_pylist()[0]


@settings(max_examples=150)
@given(ROWS)
@example([GOOD, GOOD | {"at": None}, GOOD | {"must": None}, GOOD])
@example([GOOD | {"who": "y" * 500}, GOOD | {"number": 101, "price": -11.0}])
def test_a_row_of_a_table_asks_as_the_same_row_of_a_request(rows: list[dict[str, Any]]) -> None:
    found = asked_of(TABLE, table_of(rows), AT)
    ours: dict[int, Any] = dict(zip(found.rows.tolist(), found.batch.to_pylist(), strict=True))
    ours |= {row: why.field for row, why in found.bad}
    assert ours == {i: asked_by_request(row) for i, row in enumerate(rows)}
    timed = dict(zip(found.rows.tolist(), found.timed.tolist(), strict=True))
    assert timed == {i: rows[i]["at"] is not None for i in timed}


def test_a_column_of_moments_may_be_missing_and_a_broken_text_is_a_bad_row() -> None:
    table = table_of([GOOD, GOOD]).drop_columns(["at", "flag"])
    broken = pa.array([b"ok", b"\xff"]).cast(pa.string(), safe=False)
    data = pa.Array.from_buffers(pa.string(), 2, broken.buffers())
    found = asked_of(TABLE, table.set_column(1, "who", data), AT + 7)
    assert found.batch["at"].to_pylist() == [AT + 7]
    assert [row for row, _ in found.bad] == [1]
    assert "UTF-8" in found.bad[0][1].words


PIPELINE = shop()
WILL_BUY = PIPELINE.models[0]
START, HOUR = 1_381_000_000_000_000, 3_600_000_000
ORIGIN = ScoreOrigin(
    model=WILL_BUY.name,
    release=Release(definition=PIPELINE.digest, epoch=1, model="m"),
    cuts={},
    file_count=0,
    as_of_us=START,
)


def visit(chance: random.Random, number: int) -> dict[str, Any]:
    return {
        "visit_id": f"v{number}",
        "shopper": f"s{chance.randrange(5)}",
        "country": chance.choice(["c1", "c2", "c3", None]),
        "page": chance.choice(["/", " /", "cart"]),
        "visited_at": START + chance.randrange(72) * HOUR // 2,
        "seconds": chance.choice([None, 3, 500, 10**6]),
        "mobile": chance.random() < 0.5,
    }


def order(chance: random.Random, number: int) -> dict[str, Any]:
    return {
        "order_id": f"o{number}",
        "visit_id": None,
        "shopper": f"s{chance.randrange(5)}",
        "country": chance.choice(["c1", "c2", None]),
        "ordered_at": START + chance.randrange(72) * HOUR // 2,
        "amount": chance.randrange(1, 9000),
        "items": chance.randrange(1, 5),
    }


class History:
    """Records that became known at some time, before or after they happened."""

    def __init__(self, seed: int) -> None:
        chance = self.chance = random.Random(seed)
        made = {"visits": visit, "orders": order}
        self.records = {n: [make(chance, i) for i in range(60)] for n, make in made.items()}
        self.known = {
            name: [START + chance.randrange(80) * HOUR // 2 for _ in rows]
            for name, rows in self.records.items()
        }

    def events(self, source: Any) -> pa.Table:
        rows = self.records[source.name]
        table = pa.Table.from_pylist(rows, schema=source.schema)
        table = table.append_column("_position", pa.array(range(len(rows)), pa.int64()))
        return table.append_column("_known_us", pa.array(self.known[source.name], pa.int64()))

    def seen(self, source: Any, key: dict[str, Any], known_by_us: int) -> list[Any]:
        """(record, position) of a key, of what was known by then."""
        found = zip(self.records[source.name], self.known[source.name], strict=True)
        return [
            (record, i)
            for i, (record, known) in enumerate(found)
            if known <= known_by_us and all(record[n] == v for n, v in key.items())
        ]


def spine_of(chance: random.Random, rows: int) -> list[dict[str, Any]]:
    """Questions, some without a moment, some bad."""
    made = [visit(chance, 900 + i) for i in range(rows)]
    for row in made:
        if chance.random() < 0.3:
            row["visited_at"] = None
        if chance.random() < 0.1:
            row["page"] = None
    return made


def stages(history: History, table: pa.Table, moments: UntimedRows) -> pa.Table:
    """What Spark's workers make of one part, one after the other."""
    found = asked_of(TableForm(WILL_BUY), table, moments.at_us)
    asked = questions(WILL_BUY, found, 3, moments)
    answered = [
        ViewFeatures(view, i, RowParts(PART_BITS))(asked, history.events(view.source))
        for i, view in enumerate(WILL_BUY.views)
    ]
    assert set(answered[0]["_part"].to_pylist()) <= {3}
    settled = MeshSettings(pipeline="")
    work, chosen = WorkFolders("", "", ""), Chosen(b"", "", "")
    stage = Score(settled, WILL_BUY, chosen, work, ORIGIN, with_features=True)
    mixed = pa.concat_tables(answered[::-1]).take(
        pa.array(np.random.default_rng(1).permutation(3 * len(found.rows)))
    )
    return stage.table(asked, table.take(pa.array(found.rows)), mixed, scorer())


def scorer() -> Scorer:
    digest, files = model_files(1)
    return Scorer(digest, from_files(files, digest, TabularNetwork))


def served(history: History, rows: list[dict[str, Any]], moments: UntimedRows) -> list[Any]:
    """(features, prediction) as the predictor computes them, from a plain fold of what it saw."""
    form = QuestionForm(WILL_BUY)
    question = form.decode(rows, moments.at_us)
    answered: dict[str, Any] = {view.name: [] for view in WILL_BUY.views}
    for i, stored in enumerate(question.batch.to_pylist()):
        at_us = int(question.at_us[i])
        known_by = at_us if rows[i]["visited_at"] is not None else moments.known_by_us
        for view in WILL_BUY.views:
            key = {name: stored[name] for name in view.by}
            seen = [] if None in key.values() else history.seen(view.source, key, known_by)
            exact = folded(view, seen, question.keys[view.name][i] or b"", at_us)
            answered[view.name].append(exact)
            naive = plain.answers(view, [plain.Row(*one) for one in seen], at_us)
            first = 0
            for output in view.outputs:
                assert naive[output.name].agrees(exact[first : first + output.width])
                first += output.width
    features = form.features(question, {n: np.array(a) for n, a in answered.items()})
    return [features, scorer().predict(features)]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "now", [UntimedRows(START + 30 * HOUR, ALL_US), UntimedRows(START + 9 * HOUR, 0)]
)
def test_a_score_is_what_serving_would_have_said(seed: int, now: UntimedRows) -> None:
    """A row with a moment from what was known then; one without from all that there is, or from
    what was known at the moment that is asked for.
    """
    moments = now if now.known_by_us else UntimedRows(now.at_us, now.at_us)
    history = History(seed)
    rows = spine_of(history.chance, 40)
    table = pa.Table.from_pylist(
        rows,
        schema=pa.schema([(f.name, f.type) for f in WILL_BUY.spine.arrow_fields]),
    )
    good = [row for row in rows if row["page"] is not None]
    found = stages(history, table, moments)
    features, (scores, shapes) = served(history, good, moments)
    assert found["prediction"].to_pylist() == scores
    assert found["_batch_shape"].to_pylist() == shapes
    assert found["visit_id"].to_pylist() == [row["visit_id"] for row in good]
    numeric = np.array(
        [
            [row[name] if row[name] is not None else np.nan for name in scorer().inputs.numeric]
            for row in found["features"].to_pylist()
        ],
        float,
    )
    np.testing.assert_array_equal(numeric, features.numeric)
    assert found["_row"].to_pylist() == [
        (3 << PART_BITS) + i for i, row in enumerate(rows) if row["page"] is not None
    ]
    assert len(digest_of_scores(found)) == 64
