"""Rebuilds a prediction from its id: features from the records that its views had seen,
the score from the model that answered.
"""

# Shares with the serving path the decoding, the answer of a state and the network;
# states are folded again by the plain oracle.

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch

from schemas.events import ModelPromoted, ModelTrained, PredictionServed, ViewPosition
from schemas.topics import topic_of
from twinstream.algebra.fold import answers
from twinstream.algebra.keys import encode
from twinstream.audit.compare import all_known, keys_of
from twinstream.audit.everything import seen_at
from twinstream.errors import MeshError
from twinstream.features import record
from twinstream.features.arrays import Features, codes, vocabularies
from twinstream.features.inputs import Inputs
from twinstream.features.request import QuestionForm
from twinstream.mesh.events import EventReader, pass_over
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.pipeline_file import load
from twinstream.nn.files import Loaded, from_files, score
from twinstream.nn.model_objects import fetch
from twinstream.protocol.predictions import Prediction, find_row

if TYPE_CHECKING:
    from twinstream.define import Pipeline, View
    from twinstream.mesh.settings import MeshSettings


class Rebuilt(msgspec.Struct, frozen=True):
    """A prediction as it was served beside what was computed again; `differing`:
    feature -> (served, rebuilt).
    """

    served: Prediction
    served_digest: str
    features_digest: str
    output: float
    differing: dict[str, tuple[Any, Any]]
    features: Features
    """Of the one row, as computed again."""
    shadow: float | None = None
    """What the candidate that was asked beside it says; None when none was."""

    @property
    def same(self) -> bool:
        """Whether features and scores are the same to the byte."""
        told = self.served.shadow.output if self.served.shadow else None
        scores = (self.output, self.shadow) == (self.served.output, told)
        return scores and self.features_digest == self.served_digest


def rebuild(settings: MeshSettings, prediction_id: str) -> Rebuilt:
    """Computes one prediction again; raises MeshError when it, its definition or its model is not
    to be had.
    """
    pipeline = load(settings.pipeline)
    served = find(settings, prediction_id)
    _check_definition(prediction_id, served, pipeline, settings)
    form = QuestionForm(pipeline.model(served.model))
    features = _features_again(settings, pipeline, form, served)
    values = record.values(features, 0, form.inputs)
    network = form.model.network
    loaded = model_of(settings, served.release.model, network)
    return Rebuilt(
        served=served,
        served_digest=_digest_of(served, form.inputs),
        features_digest=record.digest(features, 0, form.inputs),
        output=scored(loaded, features, served.row, served.batch_shape),
        shadow=_shadow(settings, features, served, network),
        differing=_differing(served, values),
        features=features,
    )


def _check_definition(
    prediction_id: str,
    served: Prediction,
    pipeline: Pipeline,
    settings: MeshSettings,
) -> None:
    if served.release.definition != pipeline.digest:
        raise MeshError(
            f"prediction {prediction_id} was answered under definition "
            f"{served.release.definition[:12]}, {settings.pipeline} is "
            f"{pipeline.digest[:12]}: set TWINSTREAM_PIPELINE to the file of that time"
        )


def _features_again(
    settings: MeshSettings,
    pipeline: Pipeline,
    form: QuestionForm,
    served: Prediction,
) -> Features:
    question = form.decode([served.request], served.at_us)
    given = {
        view.name: view_answers(settings, pipeline, view, question.keys[view.name][0], served)
        for view in form.model.views
    }
    return form.features(question, given)


def _differing(served: Prediction, values: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Features that were served and are now another, by name."""
    return {
        name: (served.features.get(name), value)
        for name, value in values.items()
        if served.features.get(name) != value
    }


def _digest_of(served: Prediction, inputs: Inputs) -> str:
    """The digest of the features that were served; raises MeshError when they are not those of the
    model.
    """
    try:
        return record.digest_of(served.features, inputs)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise MeshError(
            f"prediction {served.id} was served with other features than its model takes: {error!r}"
        ) from error


def find(settings: MeshSettings, prediction_id: str) -> Prediction:
    """The row of a prediction; the id of an answer alone means its first row."""
    with EventReader(settings, [topic_of(PredictionServed)], refused=pass_over) as reader:
        for event, _ in reader.read_to_end(120.0):
            if isinstance(event, PredictionServed) and (found := find_row(event, prediction_id)):
                return found
    raise MeshError(
        f"no prediction {prediction_id!r} in {topic_of(PredictionServed)}:"
        " is the id whole, and is it younger than the topic's retention?"
    )


def view_answers(
    settings: MeshSettings,
    pipeline: Pipeline,
    view: View,
    key: bytes | None,
    served: Prediction,
) -> np.ndarray[Any, Any]:
    """float64[1, n_out]: what one plain fold of all that the view had seen answers at the moment;
    a row without a key gets what no record gives.
    """
    seen = (
        []
        if key is None
        else records_of(settings, pipeline, view, key, served.positions[view.name])
    )
    return np.array([answers(view, seen, key or b"", served.at_us)])


def records_of(
    settings: MeshSettings,
    pipeline: Pipeline,
    view: View,
    key: bytes,
    position: ViewPosition,
) -> list[tuple[dict[str, object], int]]:
    """(record, place in the order of ties) of a key's records at a position."""
    known = all_known(settings, view.source, keys_of(pipeline, view.source), view.name)
    return [
        (k.record, k.position)
        for k in seen_at(known, position.epoch, position.log)
        if encode([k.record[name] for name in view.by]) == key
    ]


def _shadow(
    settings: MeshSettings,
    features: Features,
    served: Prediction,
    network_class: Any,
) -> float | None:
    told = served.shadow
    if told is None:
        return None
    loaded = model_of(settings, told.model_digest, network_class)
    return scored(loaded, features, told.place, told.batch_shape)


def model_of(
    settings: MeshSettings,
    digest: str,
    network_class: Any,
) -> Loaded:
    """A model that was asked, in the versions that its event pins, checked by its digest."""
    found = next((event for event in models(settings) if event.model_digest == digest), None)
    if found is None:
        raise MeshError(f"no model {digest[:12]} in {topic_of(ModelPromoted)}")
    return from_files(fetch(ObjectStore(settings), found), digest, network_class)


def models(settings: MeshSettings) -> Iterator[ModelTrained | ModelPromoted]:
    """Every model that was trained, or promoted, as often as that was said."""
    with EventReader(settings, [topic_of(ModelPromoted)], refused=pass_over) as reader:
        for event, _ in reader.read_to_end():
            if isinstance(event, (ModelTrained, ModelPromoted)):
                yield event


def scored(
    loaded: Loaded,
    features: Features,
    row: int,
    batch_shape: int,
) -> float:
    """The score, at the row's own place in a batch of the shape in which it was computed:
    both can change its last bits.
    """
    inputs, shape = loaded.config.inputs, max(batch_shape, 1)
    place = row % shape
    categorical = codes(features.texts, vocabularies(inputs, loaded.config.statistics), 1)
    given = (features.numeric, categorical, features.sequences)
    torch.set_num_threads(1)  # as the predictor does
    return float(score(loaded, *(_placed(rows, place, shape) for rows in given))[place])


def _placed(
    row: np.ndarray[Any, Any],
    place: int,
    shape: int,
) -> np.ndarray[Any, Any]:
    """A batch of zeros but for one row."""
    batch = np.zeros((shape, *row.shape[1:]), row.dtype)
    batch[place] = row[0]
    return batch
