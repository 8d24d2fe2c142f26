"""What answers now, as one immutable value: a request takes it once, a swap replaces it whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.events import Release, ViewPosition
from twinstream.features.arrays import Features, Numbers, codes, vocabularies
from twinstream.features.quick import QuickForm
from twinstream.features.request import QuestionForm
from twinstream.nn.files import Loaded, score
from twinstream.protocol.batch_shapes import SHAPES, shape_of


class ViewReads(Protocol):
    """What the predictor needs of `predict_svc.view.reader.ViewReader`."""

    plan: Any

    def read(
        self, key: bytes, at_us: int, epoch: int | None = None
    ) -> tuple[Numbers, ViewPosition]: ...
    def read_many(
        self,
        wanted: Sequence[bytes],
        at_us: Sequence[int] | NDArray[np.int64],
        epoch: int | None = None,
    ) -> tuple[Numbers, list[ViewPosition]]: ...
    def bases(self) -> set[int]: ...
    def positions(self, epoch: int | None = None) -> dict[int, ViewPosition]: ...
    def wait_for(
        self,
        raw: dict[int, int],
        timeout_s: float,
        key: bytes | None = None,
        epoch: int | None = None,
    ) -> None: ...


class Network:
    """A loaded model, ready for features."""

    def __init__(self, digest: str, loaded: Loaded) -> None:
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
        self, numeric: Numbers, categorical: NDArray[np.int64], sequences: Numbers
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


class Active(msgspec.Struct, frozen=True):
    """The release of one model with all that it needs to answer."""

    release: Release
    form: QuestionForm
    quick: QuickForm
    network: Network

    @property
    def name(self) -> str:
        """The release as an answer names it."""
        return str(self.release)

    @property
    def views(self) -> list[str]:
        """The views that the model reads."""
        return [view.name for view in self.form.model.views]


class Snapshot(msgspec.Struct, frozen=True):
    """All that answers: per model its active release or why there is none, and the epoch of each view alone."""

    active: dict[str, Active] = {}
    reasons: dict[str, str] = {}
    epochs: dict[str, int | None] = {}


class Serving:
    """Holds the snapshot; assigning it is the swap."""

    def __init__(self) -> None:
        self.now = Snapshot()


def _padded(rows: NDArray[Any], shape: int) -> NDArray[Any]:
    if len(rows) == shape:
        return np.ascontiguousarray(rows)
    return np.concatenate([rows, np.zeros((shape - len(rows), *rows.shape[1:]), dtype=rows.dtype)])
