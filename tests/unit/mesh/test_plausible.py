"""An event that decodes is believed only when it can be true."""

from __future__ import annotations

import math

import msgspec
import pytest

from schemas import events as ev
from schemas.plausible import LAST_US, MOST_EPOCHS, foreign, not_finite, refusal
from schemas.topics import topic_of

NANOSECONDS = 1_700_000_000_000_000_000


def _promoted(**changes: object) -> ev.ModelPromoted:
    facts = {
        "model": "late",
        "model_digest": "ab",
        "uri": "s3://m/late/ab",
        "version_ids": {},
        "definition_digest": "cd",
        "metrics": {"auc": 0.7},
    }
    return ev.ModelPromoted(**{**facts, **changes})  # type: ignore[arg-type]


GOOD = (
    _promoted(),
    ev.SealRequested(),
    ev.EpochSealRequested(epoch=1),
    ev.EpochSealed(epoch=1, source="orders", partition=0, offset=0, raw_high=-1),
    ev.RetrainRequested(model="late", reason="drift", requested_at_us=LAST_US),
    ev.MetricObserved(name="n", value=1.5, unit="1", service="s", quantiles={"p50": 0.1}),
    ev.PredictionServed(
        id="p-0",
        model="late",
        release=ev.Release(definition="3f2a", epoch=1, model="61304195" * 8),
        inputs=[],
        positions={"by-origin": [ev.ViewPosition(epoch=0, log={0: -1}, raw={0: -1})]},
        places={"by-origin": [0]},
        rows=[
            ev.ServedRow(
                at_us=1,
                request={"model": "A 320", "epoch": -3},
                features=[],
                output=0.5,
            )
        ],
    ),
    ev.DataArrived(source="orders", files=[ev.FileRef(uri="http://nowhere", sha256="")]),
)


@pytest.mark.parametrize("event", GOOD, ids=lambda event: type(event).__name__)
def test_what_our_own_services_say_is_believed(event: ev.Event) -> None:
    assert refusal(event, topic_of(event)) == ""
    assert not_finite(event) == ""


@pytest.mark.parametrize(
    ("event", "word"),
    [
        (
            ev.RetrainRequested(model="late", reason="", requested_at_us=NANOSECONDS),
            "requested_at_us",
        ),
        (ev.EpochSealRequested(epoch=0), "epoch"),
        (ev.EpochSealRequested(epoch=-1), "epoch"),
        (ev.EpochSealRequested(epoch=MOST_EPOCHS + 1), "epoch"),
        (ev.EpochSealed(epoch=1, source="../x", partition=0, offset=0, raw_high=0), "source"),
        (ev.EpochSealed(epoch=1, source="a", partition=-5, offset=0, raw_high=0), "partition"),
        (_promoted(metrics={"auc": math.nan}), "metrics"),
        (_promoted(metrics={"auc": math.inf}), "metrics"),
        (_promoted(model="No Name"), "model"),
        (
            ev.DataArrived(
                source="orders", files=[ev.FileRef(uri="s3://a/b", sha256="", size_bytes=-1)]
            ),
            "size_bytes",
        ),
    ],
)
def test_what_cannot_be_true_is_refused_with_the_field(event: ev.Event, word: str) -> None:
    assert word in refusal(event, topic_of(event))


def test_event_of_one_type_on_the_topic_of_another_is_refused() -> None:
    event = ev.EpochSealed(epoch=1, source="orders", partition=0, offset=0, raw_high=-1)
    assert "belongs to" in refusal(event, topic_of(ev.SealRequested))


@pytest.mark.parametrize("kind", sorted(ev.EVENT_TYPES))
def test_a_number_that_is_not_finite_is_found_in_every_event(kind: str) -> None:
    """Every float field of every event, and every value of its maps of floats."""
    cls = ev.EVENT_TYPES[kind]
    for name, annotation in cls.__annotations__.items():
        if str(annotation) in {"float", "dict[str, float]"}:
            value = math.nan if str(annotation) == "float" else {"x": math.nan}
            event = cls(**{**dict.fromkeys(cls.__struct_fields__, 0), name: value})
            assert name in not_finite(event)


def _training_set(uri: str, statistics_uri: str) -> ev.TrainingSetPublished:
    return ev.TrainingSetPublished(
        model="late",
        epoch=1,
        files=[ev.FileRef(uri=uri, sha256="")],
        columns=[],
        digest="ab",
        rows=1,
        first_at_us=0,
        last_at_us=1,
        statistics_uri=statistics_uri,
        definition_digest="cd",
    )


@pytest.mark.parametrize(
    ("event", "word"),
    [
        (_promoted(uri="s3://models/late/ab"), ""),
        (_promoted(uri="s3://warehouse/late/ab"), "bucket models"),
        (_promoted(uri="s3://models-of-others/late/ab"), "bucket models"),
        (_promoted(uri="file:///etc/passwd"), "bucket models"),
        (_promoted(uri="S3 b"), "bucket models"),
        (_training_set("s3://warehouse/a", "s3a://warehouse/b"), ""),
        (_training_set("s3://raw/a", "s3://warehouse/b"), "'s3://raw/a'"),
        (_training_set("s3://warehouse/a", "http://h/b"), "'http://h/b'"),
        (_training_set("s3://warehouse/a", ""), "''"),
        (ev.DataArrived(source="orders", files=[ev.FileRef(uri="s3://theirs/a", sha256="")]), ""),
    ],
)
def test_our_events_name_objects_of_our_buckets_only(event: ev.Event, word: str) -> None:
    assert word in foreign(event, "warehouse", "models")
    assert bool(foreign(event, "warehouse", "models")) == bool(word)


def _shadow(uri: str, digest: str = "w") -> ev.ShadowChosen:
    return ev.ShadowChosen(model="late", model_digest=digest, definition_digest="d", uri=uri)


@pytest.mark.parametrize(
    ("event", "ours"),
    [
        (_shadow("s3://models/a"), True),
        (_shadow("s3://theirs/a"), False),
        (_shadow("", digest=""), True),
    ],
)
def test_a_candidate_lies_in_our_bucket_and_none_lies_nowhere(
    event: ev.ShadowChosen, *, ours: bool
) -> None:
    assert (foreign(event, "warehouse", "models") == "") == ours


def _answered(**changed: object) -> ev.PredictionServed:
    row = ev.ServedRow(at_us=1, request={}, features=[1, None], output=0.5)
    at = ev.ViewPosition(epoch=1, log={0: 5}, raw={0: 6})
    facts = {
        "id": "9a7d",
        "model": "late",
        "release": ev.Release(definition="d", epoch=1, model="w"),
        "inputs": ["a", "b"],
        "positions": {"by-origin": [at, at]},
        "places": {"by-origin": [0, 1, 0]},
        "rows": [row, row, row],
    }
    return ev.PredictionServed(**{**facts, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize("starts", [[], [0], [0, 1], [0, 0, 3]])
def test_requests_that_follow_one_another_are_believed(starts: list[int]) -> None:
    event = _answered(starts=starts)
    assert refusal(event, topic_of(event)) == ""


@pytest.mark.parametrize("starts", [[1], [0, 6], [0, -1], [0, 3, 2], [-1, 0], [5]])
def test_requests_that_do_not_follow_one_another_are_refused(starts: list[int]) -> None:
    event = _answered(starts=starts)
    assert refusal(event, topic_of(event)).startswith("starts: ")


@pytest.mark.parametrize("outputs", [[], [0.5], [0.5] * 4])
def test_a_candidate_that_says_something_of_other_rows_is_refused(outputs: list[float]) -> None:
    told = ev.ShadowAnswer(model_digest="w", outputs=outputs, batch_shape=8)
    event = _answered(shadow=told)
    assert refusal(event, topic_of(event)) == f"shadow: {len(outputs)} outputs for 3 rows"
    whole = _answered(shadow=msgspec.structs.replace(told, outputs=[0.5] * 3))
    assert refusal(whole, topic_of(whole)) == ""


@pytest.mark.parametrize("places", [[0, 2, 0], [0, -1, 0], [0]])
@pytest.mark.parametrize("view", ["by-origin", "another"])
def test_a_row_without_a_position_is_refused(view: str, places: list[int]) -> None:
    event = _answered(places={view: places})
    assert "has no position in view" in refusal(event, topic_of(event))


@pytest.mark.parametrize("inputs", [[], ["a"], ["a", "b", "c"]])
def test_a_row_of_other_features_is_refused(inputs: list[str]) -> None:
    event = _answered(inputs=inputs)
    assert refusal(event, topic_of(event)).startswith("rows: row 0 has 2 features for")
