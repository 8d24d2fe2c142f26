"""Follows promoted models and landed epochs in a thread of its own, and swaps the snapshot when another release should answer."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Protocol

import structlog

from predict_svc.api.serving import Active, Canary, Serving, Snapshot, ViewReads, canary_of
from predict_svc.api.slots import (
    CANARY,
    SERVES,
    SHADOW,
    LoadedModels,
    LoadNetwork,
    ModelSlot,
    Wanted,
)
from schemas.events import Event
from twinstream.errors import TransientError
from twinstream.features.quick import QuickForm
from twinstream.features.request import QuestionForm
from twinstream.nn.scorer import Scorer
from twinstream.protocol.releases import Decision, Lifecycle, common_epoch, decide

log = structlog.get_logger()
AWAY_PAUSE_S = 1.0


class Reader(Protocol):
    """The lifecycle topic from its beginning; what cannot be believed is passed over."""

    def poll(self, timeout: float = 1.0) -> tuple[Event, Any] | None: ...
    def at_end(self) -> bool: ...


class Activation:
    """Decides what answers. `step` is called by one thread only; requests read `serving.now`."""

    def __init__(
        self,
        serving: Serving,
        pipeline: Any,
        readers: Mapping[str, ViewReads],
        *,
        lifecycle: Reader,
        load: LoadNetwork,
        load_retry_s: float,
    ) -> None:
        self._serving, self._readers, self._reader, self._load = serving, readers, lifecycle, load
        self._slots = LoadedModels(self._fetch, load_retry_s)
        self._definition = pipeline.digest
        self._forms = {model.name: QuestionForm(model) for model in pipeline.models}
        self._quick = {name: QuickForm(form) for name, form in self._forms.items()}
        self._lifecycle = Lifecycle(pipeline.digest)
        self._lock = threading.Lock()
        self.caught_up = False

    def run(self, stop: threading.Event, pause_s: float) -> None:
        """Steps until stopped; while Kafka is away what answers goes on answering."""
        while not stop.is_set():
            try:
                self.step(pause_s)
            except TransientError as error:
                log.warning("lifecycle_waits", reason=str(error))
                self.refresh()
                stop.wait(AWAY_PAUSE_S)

    def step(self, pause_s: float = 0.0) -> None:
        """Takes what was promoted, loads it, and refreshes; waits up to `pause_s` for an event."""
        found = self._reader.poll(pause_s)
        if found is not None and getattr(found[0], "model", "") in self._forms:
            self._lifecycle.apply(found[0])
        if found is None or self.caught_up:
            self.caught_up = self.caught_up or self._reader.at_end()
        if self.caught_up:
            self._load_wanted()
            self.refresh()

    def refresh(self) -> None:
        """Looks at the landed epochs and replaces the snapshot when something else should answer. Safe for threads."""
        with self._lock:
            before = self._serving.now
            landed = {name: reader.bases() for name, reader in self._readers.items()}
            after = self._snapshot(before, landed)
            if after != before:
                self._serving.now = after
                self._tell(before, after)

    def _snapshot(self, before: Snapshot, landed: Mapping[str, set[int]]) -> Snapshot:
        active, reasons = {}, {}
        for name in self._forms:
            decision, refusal = self._decided(name, landed), self._refusal(name)
            found = self._active(name, before.active.get(name), decision)
            if found is not None:
                active[name] = found
            if reason := refusal if found is not None else decision.reason:
                reasons[name] = reason
        epochs = {name: common_epoch({name: bases}) for name, bases in landed.items()}
        return Snapshot(active, reasons, epochs, *self._shadows(), *self._canaries(before, active))

    def _decided(self, name: str, landed: Mapping[str, set[int]]) -> Decision:
        network = self._slots.loaded(ModelSlot(name, SERVES))
        views = {view.name: landed[view.name] for view in self._forms[name].model.views}
        digest = network.digest if network else None
        return decide(self._definition, views, digest, self._refusal(name))

    def _active(self, name: str, old: Active | None, decision: Decision) -> Active | None:
        """The release that was decided on, made anew only when it is another one."""
        network, release = self._slots.loaded(ModelSlot(name, SERVES)), decision.release
        if release is None or network is None:
            return None
        if old is not None and old.release == release:
            return old
        return Active(release, self._forms[name], self._quick[name], network)

    def _shadows(self) -> tuple[dict[str, Scorer], dict[str, str]]:
        """What is asked beside each model, and why what was chosen is not."""
        asked, reasons = {}, {}
        for name, chosen in dict(self._lifecycle.shadows).items():
            slot = ModelSlot(name, SHADOW)
            if (found := self._slots.loaded(slot)) is not None:
                asked[name] = found
            if reason := self._slots.failure(slot, chosen):
                reasons[name] = reason
        return asked, reasons

    def _canaries(
        self, before: Snapshot, active: Mapping[str, Active]
    ) -> tuple[dict[str, Canary], dict[str, str]]:
        """What answers a share of the keys of each model, and why what was chosen does not."""
        found = {}
        reasons = {}
        for name, chosen in dict(self._lifecycle.canaries).items():
            slot = ModelSlot(name, CANARY)
            network = self._slots.loaded(slot)
            reason = self._slots.failure(slot, chosen)
            if reason:
                reasons[name] = reason
            if network is not None and name in active:
                old = before.canaries.get(name)
                found[name] = canary_of(
                    old,
                    active[name],
                    network,
                    chosen.share,
                )
        return found, reasons

    def _load_wanted(self) -> None:
        """What serves first."""
        for name, promoted in self._lifecycle.promoted.items():
            self._slots.fill(ModelSlot(name, SERVES), promoted)
        for name in self._forms:
            self._load_candidate(ModelSlot(name, SHADOW), self._lifecycle.shadows.get(name))
            self._load_candidate(ModelSlot(name, CANARY), self._lifecycle.canaries.get(name))

    def _load_candidate(self, slot: ModelSlot, chosen: Wanted | None) -> None:
        """Another one than was chosen is not asked, not even while that cannot be loaded."""
        loaded = self._slots.loaded(slot)
        if chosen is None or (loaded is not None and loaded.digest != chosen.model_digest):
            self._slots.empty(slot)
        if chosen is not None:
            self._slots.fill(slot, chosen)

    def _fetch(self, wanted: Wanted) -> Scorer:
        return self._load(wanted)

    def _refusal(self, model: str) -> str:
        """Why the newest promoted model does not answer; "" when it does."""
        wanted = self._lifecycle.promoted.get(model)
        failure = self._slots.failure(ModelSlot(model, SERVES), wanted)
        return failure or self._lifecycle.refused.get(model, "")

    def _tell(self, before: Snapshot, after: Snapshot) -> None:
        for name, active in after.active.items():
            old = before.active.get(name)
            if old is None or old.release != active.release:
                log.info(
                    "release_swapped",
                    model=name,
                    before=str(old.release) if old else None,
                    after=str(active.release),
                )
        for name, reason in after.reasons.items():
            if before.reasons.get(name) != reason:
                log.info("release_withheld", model=name, reason=reason)
