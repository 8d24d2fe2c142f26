"""Which epoch and which model: the newest that all views of the model have, and the one that is
promoted, as the predictor chooses; or a model that is named.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from schemas.events import (
    Event,
    ModelPromoted,
    ModelTrained,
    Release,
    ViewPublished,
)
from schemas.topics import topic_of
from twinstream.define import Model, Pipeline
from twinstream.errors import MeshError, SettingsError
from twinstream.mesh.events import EventReader, pass_over
from twinstream.mesh.settings import MeshSettings
from twinstream.nn.files import versions
from twinstream.protocol.manifests import Manifests
from twinstream.protocol.releases import Lifecycle, common_epoch
from twinstream.protocol.scores import ScoreOrigin

ModelEvent = ModelTrained | ModelPromoted
SHORTEST_DIGEST = 8
"""So much of a model's digest names it, where no other begins alike."""


class Origin(NamedTuple):
    """What a batch of scores follows from, and the event that names its model."""

    said: ScoreOrigin
    promoted: ModelEvent


class Told:
    """What the topics of batch views and of models say of one pipeline, in their order."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._definition = pipeline.digest
        self._lifecycle = Lifecycle(pipeline.digest)
        self._models: dict[str, dict[str, ModelEvent]] = {}
        self._landed: dict[str, dict[int, ViewPublished]] = {}

    def take(self, event: Event) -> None:
        """Learn one event."""
        if isinstance(event, ViewPublished):
            self._landed.setdefault(event.view, {}).setdefault(event.epoch, event)
            return
        if isinstance(event, ModelTrained | ModelPromoted):
            self._models.setdefault(event.model, {})[event.model_digest] = event
        self._lifecycle.apply(event)

    def origin(
        self,
        model: Model,
        digest: str,
        asked_us: int | None,
    ) -> Origin:
        """Raises SettingsError for a model that nobody trained, MeshError where nothing is promoted
        or no epoch has landed.
        """
        promoted = self._chosen(model.name, digest) if digest else self._promoted(model.name)
        manifest = self._manifest(model)
        return Origin(_said(promoted, manifest, asked_us), promoted)

    def _manifest(self, model: Model) -> ViewPublished:
        """Of the newest epoch that all views of the model have, under this definition."""
        landed = {
            view.name: {
                epoch: event
                for epoch, event in self._landed.get(view.name, {}).items()
                if event.definition_digest == self._definition
            }
            for view in model.views
        }
        epoch = common_epoch(landed)
        if epoch is None:
            lacking = sorted(name for name, epochs in landed.items() if not epochs)
            raise MeshError(
                f"no epoch of this definition has landed in {', '.join(lacking) or 'all views'}: "
                "send or publish records, then twinstream seal"
            )
        return landed[model.views[0].name][epoch]

    def _promoted(self, model: str) -> ModelPromoted:
        """Its refusal is told first: a newer model of another definition does not answer."""
        found = self._lifecycle.promoted.get(model)
        if found is None:
            raise MeshError(
                self._lifecycle.refused.get(model)
                or f"no model of {model} was promoted yet: seal an epoch with enough labelled rows"
                " and wait for training, or name a trained one with --model-digest"
            )
        return found

    def _chosen(self, model: str, digest: str) -> ModelEvent:
        known = self._models.get(model, {})
        matching = [found for found in known if found.startswith(digest.lower())]
        if len(digest) < SHORTEST_DIGEST or len(matching) != 1:
            raise SettingsError(_unknown(model, digest, known, len(matching)))
        event = known[matching[0]]
        made_for = event.definition_digest
        if made_for != self._definition:
            raise SettingsError(
                f"model {event.model_digest[:12]} was made for definition {made_for[:12]}, this "
                f"mesh has {self._definition[:12]}: its views are not those of today"
            )
        return event


def _said(
    event: ModelEvent,
    manifest: ViewPublished,
    asked_us: int | None,
) -> ScoreOrigin:
    release = Release(
        definition=manifest.definition_digest,
        epoch=manifest.epoch,
        model=event.model_digest,
    )
    return ScoreOrigin(
        model=event.model,
        release=release,
        cuts=manifest.cuts,
        file_count=manifest.file_count,
        as_of_us=manifest.as_of_us,
        asked_us=asked_us,
        versions=versions(),
    )


def _unknown(
    model: str,
    digest: str,
    known: Iterable[str],
    matching: int,
) -> str:
    if len(digest) < SHORTEST_DIGEST:
        return f"--model-digest {digest!r} is too short: give at least {SHORTEST_DIGEST} characters"
    if matching:
        return f"{matching} models of {model} begin with {digest!r}: give more of the digest"
    there = ", ".join(found[:12] for found in known) or "none"
    return f"no model of {model} has the digest {digest!r}; there are: {there}"


def told_by_topics(mesh: MeshSettings, pipeline: Pipeline) -> Told:
    """All that the topics say by now. Raises NotRunningError when the broker does not answer."""
    found = Told(pipeline)
    believed = Manifests(pipeline, mesh.partitions, mesh.bucket)
    topics = sorted({topic_of(ViewPublished), topic_of(ModelPromoted)})
    with EventReader(mesh, topics, refused=pass_over, check=believed.refusal) as reader:
        for event, _ in reader.read_to_end():
            found.take(event)
    return found


def promoted_json(event: ModelEvent) -> bytes:
    """As workers are given it; a trained model's event has all that a promoted one's must have."""
    return msgspec.json.encode(event)
