"""Which epoch and which model score: as the predictor chooses, or the one that is named."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from preprocess_svc.batch.scoring.__main__ import in_words
from preprocess_svc.batch.scoring.origin import Told, promoted_json
from schemas.events import Cut, ModelPromoted, ModelRolledBack, ModelTrained, ViewPublished
from tests.unit.train.material import shop
from twinstream.errors import MeshError, SettingsError

PIPELINE = shop()
MODEL = PIPELINE.models[0]
FIRST, SECOND = "a" * 64, "a" * 9 + "b" * 55


def landed(view: str, epoch: int, definition: str = PIPELINE.digest) -> ViewPublished:
    cut = {0: Cut(offset=epoch, raw_high=0)}
    return ViewPublished(
        view=view,
        source=PIPELINE.view(view).source.name,
        epoch=epoch,
        cut=cut,
        files=[],
        definition_digest=definition,
        as_of_us=epoch * 1000,
        complete_since={},
        file_count=epoch,
        cuts={"visits": cut},
    )


def model(kind: Any, digest: str, definition: str = PIPELINE.digest) -> Any:
    more = {"epoch": 1, "training_set_digest": "t"} if kind is ModelTrained else {}
    return kind(
        model=MODEL.name,
        model_digest=digest,
        uri=f"s3://models/{digest}",
        version_ids={},
        definition_digest=definition,
        metrics={},
        **more,
    )


def told(*events: Any, epochs: tuple[int, ...] = (1,)) -> Told:
    found = Told(PIPELINE)
    for event in (*(landed(v.name, e) for e in epochs for v in MODEL.views), *events):
        found.take(event)
    return found


def test_the_promoted_model_at_the_newest_epoch_of_all_views() -> None:
    found = told(model(ModelPromoted, FIRST), landed("spending", 3), epochs=(1, 2))
    said = found.origin(MODEL, "", None).said
    assert (said.release.epoch, said.release.model, said.as_of_us) == (2, FIRST, 2000)
    assert (said.cuts["visits"][0].offset, said.file_count) == (2, 2)


def test_a_rolled_back_model_does_not_score() -> None:
    back = ModelRolledBack(
        model=MODEL.name, model_digest=SECOND, to_model_digest=FIRST, reason="worse"
    )
    found = told(model(ModelPromoted, FIRST), model(ModelPromoted, SECOND), back)
    assert found.origin(MODEL, "", None).said.release.model == FIRST


def test_a_trained_model_scores_when_it_is_named() -> None:
    found = told(model(ModelPromoted, FIRST), model(ModelTrained, SECOND))
    origin = found.origin(MODEL, SECOND[:12], 7)
    assert (origin.promoted.model_digest, origin.said.asked_us) == (SECOND, 7)
    sent = msgspec.json.decode(promoted_json(origin.promoted), type=ModelPromoted)
    assert (sent.model_digest, sent.uri) == (SECOND, f"s3://models/{SECOND}")


@pytest.mark.parametrize(
    ("events", "digest", "kind", "words"),
    [
        ([], "", MeshError, "no model of will-buy was promoted yet"),
        ([model(ModelPromoted, FIRST, "other")], "", MeshError, "was made for definition"),
        ([model(ModelTrained, FIRST, "other")], FIRST, SettingsError, "not those of today"),
        ([model(ModelPromoted, FIRST)], "aaa", SettingsError, "at least 8"),
        ([model(ModelPromoted, FIRST)], "ffffffff", SettingsError, "there are: aaaaaaaaaaaa"),
        (
            [model(ModelPromoted, FIRST), model(ModelTrained, SECOND)],
            "a" * 8,
            SettingsError,
            "2 models of will-buy begin with",
        ),
    ],
)
def test_why_no_model_scores_is_said(events: Any, digest: str, kind: type, words: str) -> None:
    with pytest.raises(kind, match=words):
        told(*events).origin(MODEL, digest, None)


def test_no_epoch_of_this_definition_scores_nothing() -> None:
    found = Told(PIPELINE)
    for view in MODEL.views:
        found.take(landed(view.name, 1, "other"))
    found.take(model(ModelPromoted, FIRST))
    with pytest.raises(MeshError, match="no epoch of this definition has landed in by-country"):
        found.origin(MODEL, "", None)


SPARK = """
An exception was thrown from the Python worker. Please see the stack trace below.
Traceback (most recent call last):
  File "worker.py", line 1, in main
    raise NotFiniteError("x")
twinstream.errors.NotFiniteError: model 5b7c gives a score that is not a finite number: roll it back

\tat org.apache.spark.api.python.BasePythonRunner$ReaderIterator.handlePythonException(x.scala)
Caused by: org.apache.spark.SparkException: Job aborted
"""


def test_an_error_of_a_worker_is_told_in_its_own_words() -> None:
    assert in_words(RuntimeError(SPARK)).startswith("NotFiniteError: model 5b7c gives a score")
    assert in_words(RuntimeError("odd")) == "RuntimeError: odd"
