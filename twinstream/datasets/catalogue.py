"""Which training sets were published, and which models were trained on each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from schemas.events import Event, ModelTrained, TrainingSetPublished
from schemas.plausible import foreign
from schemas.topics import topic_of
from twinstream.errors import SettingsError
from twinstream.mesh.events import EventReader, pass_over
from twinstream.mesh.settings import MeshSettings

SHORT = 12
"""Characters of a digest that a list shows."""
SHORTEST = 4


class PublishedSet(msgspec.Struct, frozen=True, kw_only=True):
    """A training set, and the digests of the models that were trained on it."""

    event: TrainingSetPublished
    models: tuple[str, ...] = ()


def published_sets(
    settings: MeshSettings,
    models: Iterable[str],
) -> list[PublishedSet]:
    """All that were published of these models, oldest first. Raises NotRunningError."""
    wanted = set(models)
    events = list(_believed(settings))
    trained = _trained_on(events)
    return [
        PublishedSet(event=event, models=tuple(dict.fromkeys(trained[event.digest])))
        for event in events
        if isinstance(event, TrainingSetPublished) and event.model in wanted
    ]


def _trained_on(events: Iterable[Event]) -> Mapping[str, list[str]]:
    """Digests of models by that of their training set."""
    trained: dict[str, list[str]] = defaultdict(list)
    for event in events:
        if isinstance(event, ModelTrained):
            trained[event.training_set_digest].append(event.model_digest)
    return trained


def chosen_set(
    found: Sequence[PublishedSet],
    model: str,
    which: str,
) -> PublishedSet:
    """The newest set of a model that is named so: by its epoch, or by how its digest begins; the
    newest of all for "". Raises SettingsError for none, or for several.
    """
    ours = [one for one in found if one.event.model == model]
    of_epoch = [one for one in ours if str(one.event.epoch) == which]
    matching = of_epoch or [one for one in ours if _begins(one.event.digest, which)]
    digests = {one.event.digest for one in matching}
    if not digests or (which and not of_epoch and len(digests) > 1):
        raise _unclear("several" if digests else "none", ours, model, which)
    return matching[-1]


def _unclear(
    many: str,
    ours: Sequence[PublishedSet],
    model: str,
    which: str,
) -> SettingsError:
    there = ", ".join(map(_named, ours[-5:])) or "none, seal an epoch first"
    return SettingsError(
        f"{many} of the training sets of {model} match {which[:80]!r}; the newest are: {there}"
    )


def _named(one: PublishedSet) -> str:
    return f"{one.event.digest[:SHORT]} (epoch {one.event.epoch})"


def _begins(
    digest: str,
    which: str,
) -> bool:
    return not which or (len(which) >= SHORTEST and digest.startswith(which))


def _believed(settings: MeshSettings) -> Iterator[Event]:
    """What services that read these topics believe of them."""

    def check(event: Event) -> str:
        return foreign(event, settings.bucket, settings.model_bucket)

    topics = [topic_of(TrainingSetPublished), topic_of(ModelTrained)]
    with EventReader(settings, topics, refused=pass_over, check=check) as reader:
        for event, _ in reader.read_to_end():
            yield event
