"""What the handlers need from outside."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from schemas.events import ModelPromoted, ModelTrained, TrainingSetPublished
from train_svc.rows import Split
from train_svc.search import Found, Search
from train_svc.settings import TrainSettings
from train_svc.training import TrainingConfig
from twinstream.features.inputs import Inputs
from twinstream.mesh.clock import Clock
from twinstream.nn.files import Loaded


class TrainingSet(msgspec.Struct, frozen=True):
    """A training set in memory, its columns checked against what the event pins."""

    table: Any
    statistics: dict[str, Any]


class Stored(msgspec.Struct, frozen=True):
    """Where a model's files are."""

    uri: str
    version_ids: dict[str, str]


class TrainingSets(Protocol):
    """Reads what the batch layer published."""

    def read(self, event: TrainingSetPublished) -> TrainingSet:
        """Raises TrainingSetCorruptError when bytes are not those that the event pins."""
        ...


class Models(Protocol):
    """Keeps models under the digest that names them."""

    def save(self, model: str, digest: str, files: dict[str, bytes]) -> Stored: ...

    def load(self, model: ModelTrained | ModelPromoted, network_class: Any) -> Loaded:
        """Raises ModelCorruptError when the files are not those of the digest."""
        ...


class Problem(msgspec.Struct, frozen=True):
    """One search: rows, inputs and how to train; `network` is the class or the definition's
    reference to it.
    """

    split: Split
    inputs: Inputs
    statistics: dict[str, Any]
    config: TrainingConfig
    network: Any


class Tuner(Protocol):
    """Runs a search."""

    def search(self, problem: Problem, wanted: Search) -> Found:
        """Raises NothingFoundError when no trial gave a finite loss."""


class FittedBaseline(msgspec.Struct, frozen=True):
    """What a baseline answers for the test rows, float64[n], and what else is told of it."""

    answers: Any
    facts: dict[str, float]


class Baseline(Protocol):
    """A simpler model than the network, fitted on the training rows of a problem and chosen on its
    validation rows; the same problem gives the same answers.
    """

    def compare(self, problem: Problem) -> FittedBaseline:
        """Whatever it raises, the model is trained without it."""
        ...


class Ports(msgspec.Struct, frozen=True):
    """All of them, and the settings and definition that the handlers go by. `tuners`:
    by the names of search.py; `baselines`: by the prefix of their metrics.
    """

    pipeline: Any
    settings: TrainSettings
    training_sets: TrainingSets
    models: Models
    tuners: dict[str, Tuner]
    baselines: dict[str, Baseline]
    clock: Clock
