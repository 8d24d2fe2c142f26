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
    otherwise: Active | None = None
    """Of a canary, which answers a share of the keys: what serves, if it cannot."""

    @property
    def canary(self) -> bool:
        """Whether it answers a share of the keys only."""
        return self.otherwise is not None

    @property
    def name(self) -> str:
        """The release as an answer names it."""
        return str(self.release)

    @property
    def views(self) -> list[str]:
        """The views that the model reads."""
        return [view.name for view in self.form.model.views]


class Canary(msgspec.Struct, frozen=True):
    """A candidate's release, and the share of keys that it answers."""

    active: Active
    share: float


class Snapshot(msgspec.Struct, frozen=True):
    """All that answers: per model its active release or why there is none, and the epoch of each
    view alone. `shadows`: per model the candidate that is asked beside it, and why one is not;
    `canaries`: the one that answers some of its keys.
    """

    active: dict[str, Active] = {}
    reasons: dict[str, str] = {}
    epochs: dict[str, int | None] = {}
    shadows: dict[str, Scorer] = {}
    shadow_reasons: dict[str, str] = {}
    canaries: dict[str, Canary] = {}
    canary_reasons: dict[str, str] = {}


def canary_of(old: Canary | None, active: Active, network: Scorer, share: float) -> Canary:
    """A candidate in the place of what serves: all of the release but the model."""
    release = msgspec.structs.replace(active.release, model=network.digest)
    if old is not None and (old.active.otherwise, old.active.release, old.share) == (
        active,
        release,
        share,
    ):
        return old
    return Canary(
        msgspec.structs.replace(active, release=release, network=network, otherwise=active), share
    )


class Serving:
    """Holds the snapshot; assigning it is the swap."""

    def __init__(self) -> None:
        self.now = Snapshot()
