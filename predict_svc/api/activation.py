"""Follows promoted models and landed epochs in a thread of its own, and swaps the snapshot when another release should answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import structlog

from predict_svc.api.serving import Active, Serving, Snapshot, ViewReads
from schemas.events import Event, ModelPromoted
from twinstream.errors import TransientError
from twinstream.features.quick import QuickForm
from twinstream.features.request import QuestionForm
from twinstream.nn.scorer import Scorer
from twinstream.protocol.releases import Lifecycle, common_epoch, decide

log = structlog.get_logger()
LoadNetwork = Callable[[ModelPromoted], Scorer]
"""Fetches and checks a promoted model; raises MeshError."""
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
        self._definition = pipeline.digest
        self._forms = {model.name: QuestionForm(model) for model in pipeline.models}
        self._quick = {name: QuickForm(form) for name, form in self._forms.items()}
        self._lifecycle = Lifecycle(pipeline.digest)
        self._networks: dict[str, Scorer] = {}
        self._failed: dict[str, tuple[str, float, str]] = {}
        self._load_retry_s = load_retry_s
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
            self._load_promoted()
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
        for name, form in self._forms.items():
            network = self._networks.get(name)
            views = {view.name: landed[view.name] for view in form.model.views}
            decision = decide(
                self._definition, views, network.digest if network else None, self._refusal(name)
            )
            if decision.release is None or network is None:
                reasons[name] = decision.reason
            else:
                old = before.active.get(name)
                active[name] = (
                    old
                    if old is not None and old.release == decision.release
                    else Active(decision.release, form, self._quick[name], network)
                )
                if self._refusal(name):
                    reasons[name] = self._refusal(name)
        epochs = {name: common_epoch({name: bases}) for name, bases in landed.items()}
        return Snapshot(active, reasons, epochs)

    def _load_promoted(self) -> None:
        """Loads each promoted model that is not loaded; after a failure again only after a pause."""
        for name, promoted in self._lifecycle.promoted.items():
            loaded, failed = self._networks.get(name), self._failed.get(name)
            waiting = (
                failed is not None
                and failed[0] == promoted.model_digest
                and time.monotonic() < failed[1]
            )
            if (
                name not in self._forms
                or waiting
                or (loaded is not None and loaded.digest == promoted.model_digest)
            ):
                continue
            try:
                network = self._load(promoted)
                network.warm_up()
            except Exception as error:  # noqa: BLE001  (whatever is wrong with a model, the one before it goes on)
                self._failed[name] = (
                    promoted.model_digest,
                    time.monotonic() + self._load_retry_s,
                    str(error),
                )
                log.warning(
                    "model_refused",
                    model=name,
                    digest=promoted.model_digest[:12],
                    reason=str(error),
                )
            else:
                self._networks[name] = network
                self._failed.pop(name, None)

    def _refusal(self, model: str) -> str:
        """Why the newest promoted model does not answer; "" when it does."""
        failed, wanted = self._failed.get(model), self._lifecycle.promoted.get(model)
        if failed is not None and wanted is not None and failed[0] == wanted.model_digest:
            return failed[2]
        return self._lifecycle.refused.get(model, "")

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
