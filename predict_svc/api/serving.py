"""What answers now, as one immutable value: a request takes it once, a swap replaces it whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.events import Release, ViewPosition
from twinstream.features.arrays import Numbers
from twinstream.features.quick import QuickForm
from twinstream.features.request import QuestionForm
from twinstream.nn.scorer import Scorer


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


class Active(msgspec.Struct, frozen=True):
    """The release of one model with all that it needs to answer."""

    release: Release
    form: QuestionForm
    quick: QuickForm
    network: Scorer

    @property
    def name(self) -> str:
        """The release as an answer names it."""
        return str(self.release)

    @property
    def views(self) -> list[str]:
        """The views that the model reads."""
        return [view.name for view in self.form.model.views]


class Snapshot(msgspec.Struct, frozen=True):
    """All that answers: per model its active release or why there is none, and the epoch of each
    view alone. `shadows`: per model the candidate that is asked beside it, and why one is not.
    """

    active: dict[str, Active] = {}
    reasons: dict[str, str] = {}
    epochs: dict[str, int | None] = {}
    shadows: dict[str, Scorer] = {}
    shadow_reasons: dict[str, str] = {}


class Serving:
    """Holds the snapshot; assigning it is the swap."""

    def __init__(self) -> None:
        self.now = Snapshot()
