"""What is loaded of each model for each purpose: what serves, and what is asked beside it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import structlog

from schemas.events import CanaryChosen, ModelPromoted, ShadowChosen
from twinstream.nn.scorer import Scorer

Wanted = ModelPromoted | ShadowChosen | CanaryChosen
LoadNetwork = Callable[[Wanted], Scorer]
"""Fetches and checks a model that an event names; raises MeshError."""
SERVES, SHADOW, CANARY = "serves", "shadow", "canary"
log = structlog.get_logger()


class ModelSlot(NamedTuple):
    """A model and the purpose for which one of it is loaded."""

    model: str
    purpose: str


class NotLoaded(msgspec.Struct, frozen=True):
    """Which model could not be loaded, why, and when it is tried again (`time.monotonic`)."""

    digest: str
    reason: str
    again_s: float


class LoadedModels:
    """Loads what is wanted; what could not be loaded is tried again only after a pause, and what
    was there goes on. Used by one thread only.
    """

    def __init__(
        self,
        load: LoadNetwork,
        retry_s: float,
    ) -> None:
        self._load = load
        self._retry_s = retry_s
        self._loaded: dict[ModelSlot, Scorer] = {}
        self._failed: dict[ModelSlot, NotLoaded] = {}

    def loaded(self, slot: ModelSlot) -> Scorer | None:
        """What was loaded last."""
        return self._loaded.get(slot)

    def failure(
        self,
        slot: ModelSlot,
        wanted: Wanted | None,
    ) -> str:
        """Why what is wanted is not loaded; "" when it is, or is not tried yet."""
        failed = self._failed.get(slot)
        if failed is None or wanted is None or failed.digest != wanted.model_digest:
            return ""
        return failed.reason

    def fill(
        self,
        slot: ModelSlot,
        wanted: Wanted,
    ) -> None:
        """Load what is wanted, unless it is there or is to wait."""
        if self._has(slot, wanted) or self._waits(slot, wanted):
            return
        try:
            network = self._same(slot.model, wanted.model_digest) or self._fresh(wanted)
        except Exception as error:  # noqa: BLE001  (whatever is wrong with a model, what was there goes on)
            self._fail(slot, wanted, str(error))
        else:
            self._loaded[slot] = network
            self._failed.pop(slot, None)

    def empty(self, slot: ModelSlot) -> None:
        """Nothing is wanted for it any more."""
        self._loaded.pop(slot, None)
        self._failed.pop(slot, None)

    def _has(
        self,
        slot: ModelSlot,
        wanted: Wanted,
    ) -> bool:
        loaded = self._loaded.get(slot)
        return loaded is not None and loaded.digest == wanted.model_digest

    def _waits(
        self,
        slot: ModelSlot,
        wanted: Wanted,
    ) -> bool:
        failed = self._failed.get(slot)
        same = failed is not None and failed.digest == wanted.model_digest
        return same and failed is not None and time.monotonic() < failed.again_s

    def _same(
        self,
        model: str,
        digest: str,
    ) -> Scorer | None:
        """What is loaded of it for another purpose."""
        others = (one for slot, one in self._loaded.items() if slot.model == model)
        return next((one for one in others if one.digest == digest), None)

    def _fresh(self, wanted: Wanted) -> Scorer:
        network = self._load(wanted)
        network.warm_up()
        return network

    def _fail(
        self,
        slot: ModelSlot,
        wanted: Wanted,
        reason: str,
    ) -> None:
        again_s = time.monotonic() + self._retry_s
        self._failed[slot] = NotLoaded(wanted.model_digest, reason, again_s)
        short = wanted.model_digest[:12]
        log.warning(
            "model_refused",
            model=slot.model,
            purpose=slot.purpose,
            digest=short,
            reason=reason,
        )
