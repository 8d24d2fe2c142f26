"""A loaded model that scores features in the batch shapes, for the predictor and for batch scoring
alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.events import CanaryChosen, ModelPromoted, ModelTrained, ShadowChosen
from twinstream.features.arrays import Features, Numbers, codes, vocabularies
from twinstream.nn.digest import ModelCorruptError
from twinstream.nn.files import Loaded, from_files, score
from twinstream.nn.model_objects import Objects, fetch
from twinstream.protocol.batch_shapes import SHAPES, shape_of


class Scorer:
    """A loaded model, ready for features."""

    def __init__(
        self,
        digest: str,
        loaded: Loaded,
    ) -> None:
        self.digest = digest
        self.inputs = loaded.config.inputs
        self._loaded = loaded
        self._vocabularies = vocabularies(self.inputs, loaded.config.statistics)

    def predict(self, features: Features) -> tuple[list[float], list[int]]:
        """A score for each row, and the batch shape that each was computed in."""
        categorical = codes(features.texts, self._vocabularies, len(features))
        scores: list[float] = []
        shapes: list[int] = []
        for start in range(0, len(features), SHAPES[-1]):
            rows = slice(start, start + SHAPES[-1])
            numeric = features.numeric[rows]
            sequences = features.sequences[rows]
            part, shape = self._scored(numeric, categorical[rows], sequences)
            scores += part
            shapes += [shape] * len(part)
        return scores, shapes

    def warm_up(self) -> None:
        """Runs every shape once, so that no request pays for the first time."""
        inputs = self.inputs
        for shape in SHAPES:
            numeric = np.full((shape, len(inputs.numeric)), np.nan)
            codes = np.zeros((shape, len(inputs.categorical)), dtype=np.int64)
            steps = np.full((shape, len(inputs.sequences), inputs.longest), np.nan)
            self._scored(numeric, codes, steps)

    def _scored(
        self,
        numeric: Numbers,
        categorical: NDArray[np.int64],
        sequences: Numbers,
    ) -> tuple[list[float], int]:
        n = len(numeric)
        shape = shape_of(n)
        scores = score(
            self._loaded,
            _padded(numeric, shape),
            _padded(categorical, shape),
            _padded(sequences, shape),
        )
        return scores[:n].tolist(), shape


def load_scorer(
    objects: Objects,
    promoted: ModelTrained | ModelPromoted | ShadowChosen | CanaryChosen,
    network_class: Callable[..., Any],
    definition: str,
) -> Scorer:
    """Fetches a model's files in the versions that its event pins, and checks them
    against its digest.

    Raises ModelCorruptError, also for a model that says that it was made for another definition.
    """
    loaded = from_files(fetch(objects, promoted), promoted.model_digest, network_class)
    made_for = loaded.config.definition_digest
    if made_for != definition:
        raise ModelCorruptError(
            f"model {promoted.model_digest[:12]} says that it was made for definition"
            f" {made_for[:12]}"
        )
    return Scorer(promoted.model_digest, loaded)


def _padded(rows: NDArray[Any], shape: int) -> NDArray[Any]:
    """With rows of zeros behind them, as many as the shape has more."""
    missing = shape - len(rows)
    if not missing:
        return np.ascontiguousarray(rows)
    zeros = np.zeros((missing, *rows.shape[1:]), dtype=rows.dtype)
    return np.concatenate([rows, zeros])
