import hashlib
import struct

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from predict_svc.api.messages import RequestError, predict_body
from tests.unit.train.material import shop
from twinstream import Decimal, Label, Model, Source, String, Timestamp, View, count
from twinstream.algebra import kernel
from twinstream.algebra.pit import Events, Spine, point_in_time
from twinstream.algebra.plan import ViewPlan
from twinstream.define.records import Decoder
from twinstream.errors import RecordError
from twinstream.features import record
from twinstream.features.arrays import (
    Features,
    MissingColumnError,
    codes,
    from_table,
    lists,
    numbers,
)
from twinstream.features.inputs import Inputs
from twinstream.features.request import QuestionForm, RowError, outputs, view_key

AT = 1_700_000_000_000_000
ROWS = [
    {
        "visit_id": "a",
        "shopper": "s1",
        "country": "NZ",
        "page": " /home ",
        "visited_at": AT,
        "seconds": 5,
        "mobile": True,
    },
    {"shopper": "s2", "country": None, "page": "", "mobile": False},
    {
        "shopper": "s3",
        "page": "ünïcode",
        "visited_at": "2024-02-29T23:59:59.999999+02:00",
        "mobile": False,
    },
]


def model() -> Model:
    return shop().models[0]


def answers(given: Model, rows: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    made = {
        view.name: rng.normal(size=(rows, sum(o.width for o in view.outputs)))
        for view in given.views
    }
    for found in made.values():
        found[rng.random(found.shape) < 0.4] = np.nan
    return made


def training_table(
    given: Model, form: QuestionForm, rows: list[dict[str, object]], found: dict[str, np.ndarray]
) -> pa.Table:
    """What the batch layer writes for the same questions: physical columns, derived numbers,
    outputs with nulls.
    """
    batch = form.decode(rows, AT).batch
    columns = {name: batch.column(name) for name in given.request}
    columns |= {
        name: pa.array(expression.floats(batch), from_pandas=True)
        for name, expression in given.derive.items()
    }
    for view in given.views:
        for name, values in outputs(view, found[view.name]).items():
            columns[name] = (
                pa.array(values, from_pandas=True)
                if values.ndim == 1
                else pa.array(
                    [[None if np.isnan(x) else x for x in row] for row in values],
                    pa.list_(pa.float64()),
                )
            )
    return pa.table(columns)


def bytes_of(features: Features) -> tuple[bytes, str, bytes]:
    return features.numeric.tobytes(), repr(features.texts), features.sequences.tobytes()


def test_training_and_serving_assemble_the_same_bytes() -> None:
    given = model()
    form = QuestionForm(given)
    found = answers(given, len(ROWS))
    table = training_table(given, form, ROWS, found)
    served = form.features(form.decode(ROWS, AT), found)
    assert bytes_of(from_table(table, form.inputs)) == bytes_of(served)
    for i, row in enumerate(ROWS):
        alone = form.features(
            form.decode([row], AT), {view: values[i : i + 1] for view, values in found.items()}
        )
        assert record.digest(alone, 0, form.inputs) == record.digest(served, i, form.inputs)


def test_rows_are_cleaned_as_records_are() -> None:
    batch = QuestionForm(model()).decode(ROWS, AT).batch
    assert batch.column("page").to_pylist() == ["/home", "", "ünïcode"]


def test_a_row_without_its_moment_is_asked_at_the_given_one() -> None:
    assert QuestionForm(model()).decode(ROWS, AT + 7).at_us.tolist() == [
        AT,
        AT + 7,
        1_709_243_999_999_999,
    ]


def test_a_key_with_a_null_part_is_no_key() -> None:
    keys = QuestionForm(model()).decode(ROWS, AT).keys
    assert keys["by-country"] == [b"NZ", None, None]
    assert keys["spending"] == [b"s1", b"s2", b"s3"]


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"shopper": "s", "page": "/"}, "row 1: mobile: is null or missing"),
        ({"shopper": "s", "page": "/", "mobile": "yes"}, "row 1: mobile"),
        ({"page": "/", "mobile": True}, "row 1: shopper"),
        (
            {"shopper": "s", "page": "/", "mobile": True, "visited_at": "yesterday"},
            "row 1: visited_at",
        ),
    ],
)
def test_a_bad_row_is_named_with_its_field(row: dict[str, object], complaint: str) -> None:
    with pytest.raises(RowError, match=complaint):
        QuestionForm(model()).decode([ROWS[0], row], AT)


def test_a_key_is_read_from_text_by_its_type() -> None:
    assert view_key(shop().view("by-country"), ["NZ"]) == b"NZ"
    with pytest.raises(RecordError, match="1 in all"):
        view_key(shop().view("by-country"), ["NZ", "AU"])


def test_null_stays_null_in_numbers_and_lists() -> None:
    assert np.isnan(numbers(pa.array([None, 1], pa.int64()))).tolist() == [True, False]
    assert numbers(pa.array([True, None])).tolist()[0] == 1.0
    column = pa.array([[1.0, None, 3.0], None, [], [4.0, 5.0, 6.0, 7.0]], pa.list_(pa.float64()))
    found = lists(pa.chunked_array([column.slice(0, 1), column.slice(1)]), 3)
    assert np.isnan(found).tolist() == [[False, True, False], [True] * 3, [True] * 3, [False] * 3]
    assert found[3].tolist() == [4.0, 5.0, 6.0]


def test_an_unknown_category_and_null_have_the_code_zero() -> None:
    assert codes([["a", "z", None, "b"]], [{"a": 1, "b": 2}], 4)[:, 0].tolist() == [1, 0, 0, 2]


def test_a_missing_column_is_named() -> None:
    with pytest.raises(MissingColumnError, match="no column 'hour'"):
        from_table(pa.table({"mobile": [True]}), Inputs.of(model().inputs))


def test_the_digest_is_taken_over_canonical_bytes() -> None:
    inputs = Inputs(("x", "y"), ("c", "d"), (("s", 2),))
    features = Features(
        np.array([[1.5, np.nan]]), [["é"], [None]], np.array([[[2.0, np.nan, 9.0]]])
    )
    nan = struct.pack("<d", float("nan"))
    expected = (
        struct.pack("<d", 1.5)
        + nan
        + struct.pack("<d", 2.0)
        + nan
        + struct.pack("<i", 2)
        + "é".encode()
        + struct.pack("<i", -1)
    )
    assert record.digest(features, 0, inputs) == hashlib.sha256(expected).hexdigest()
    odd = np.frombuffer(struct.pack("<Q", 0xFFF8000000000001), "<f8")
    other = Features(np.array([[1.5, odd[0]]]), features.texts, features.sequences)
    assert record.digest(other, 0, inputs) == record.digest(features, 0, inputs)
    assert record.values(features, 0, inputs) == {
        "x": 1.5,
        "y": None,
        "c": "é",
        "d": None,
        "s": [2.0, None],
    }


def test_a_question_without_a_key_gets_the_same_in_training_and_serving() -> None:
    view = shop().view("by-country")
    plan = ViewPlan(view)
    batch = pa.RecordBatch.from_pylist(
        [
            {
                "order_id": "o",
                "shopper": "s",
                "country": "NZ",
                "ordered_at": AT,
                "amount": 2500,
                "items": 1,
            }
        ],
        schema=view.source.schema,
    )
    at = np.array([AT, AT])
    trained = point_in_time(
        plan, Events(batch, np.array([0]), np.array([AT])), Spine([None, b"NZ"], at)
    )
    assert kernel.read(plan, np.zeros(0, np.int64), AT).tobytes() == trained[0].tobytes()
    assert trained[1].tobytes() != trained[0].tobytes()


DECIMALS = [
    "2.665",
    "2.66500000000000000000001",
    "46116860184273879.04",
    "5296496603461.475",
    "-0.0",
    "1e2",
    "12345678901234567.0",
]


@pytest.mark.parametrize("text", DECIMALS)
def test_a_questions_decimal_is_that_of_a_record(text: str) -> None:
    """As the API reads it, and again as the event of the prediction keeps it."""
    fields = {"id": String(), "at": Timestamp(), "amount": Decimal(2)}
    source = Source("asked", fields=fields, id="id", key="id", event_time="at")
    label = Label("paid", source, on="id", horizon="1h", value=lambda r: r.amount > 0)
    view = View("by-amount", source, by="amount", features={"n": count().over("1h")})
    form = QuestionForm(
        Model("pays", spine=source, at="at", views=[view], label=label, request=["amount"])
    )
    of_record = (
        Decoder(source)
        .json([f'{{"id": "a", "at": 0, "amount": {text}}}'.encode()])
        .batch.column("amount")
        .to_pylist()
    )
    body = predict_body(f'{{"rows": [{{"amount": {text}}}]}}'.encode())
    question = form.decode(body.rows, AT)
    assert question.batch.column("amount").to_pylist() == of_record
    assert question.keys == {"by-amount": [str(of_record[0]).encode()]}
    kept = msgspec.json.decode(msgspec.json.encode(body.rows))
    assert form.decode(kept, AT).batch.column("amount").to_pylist() == of_record


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", object()])
def test_what_json_does_not_have_is_refused_with_its_row(value: object) -> None:
    with pytest.raises(RowError, match="row 1"):
        QuestionForm(model()).decode([ROWS[0], {**ROWS[1], "seconds": value}], AT)


@pytest.mark.parametrize("text", ["NaN", "1e999", "Infinity"])
def test_a_number_that_is_not_finite_is_refused_in_a_body(text: str) -> None:
    with pytest.raises((RequestError, RowError)):
        QuestionForm(model()).decode(
            predict_body(f'{{"rows": [{{"seconds": {text}}}]}}'.encode()).rows, AT
        )
