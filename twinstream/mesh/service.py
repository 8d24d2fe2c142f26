"""What a process is, as data: what it reads, with the handler of each, writes, and keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from schemas.events import Event
from schemas.topics import topic_of
from twinstream.mesh.knobs import Knobs

SOURCE, VIEW, MODEL = "<source>", "<view>", "<model>"
"""Stand for each source, view and model of the definition: `records_accepted(SOURCE)`."""
DRAIN_S = 4.0
Own = TypeVar("Own", bound=Knobs)
Topics = type[Event] | str
"""An event stands for the topic that carries it."""


class Named(Protocol):
    @property
    def name(self) -> str: ...


class SourcesAndViews(Protocol):
    """What of a pipeline is needed here."""

    @property
    def sources(self) -> Iterable[Named]: ...
    @property
    def views(self) -> Iterable[Named]: ...
    @property
    def models(self) -> Iterable[Named]: ...


class Service(msgspec.Struct, Generic[Own], frozen=True, kw_only=True):
    """One of the mesh's processes."""

    name: str
    """As in its log, its heartbeat and `deploy/local/services.py`."""
    writer: str
    """The service whose topics and dead letters it writes."""
    settings: type[Own]
    consumes: Mapping[Topics, Callable[..., Any]] = {}
    """What it acts on, with the handler."""
    looks_up: tuple[Topics, ...] = ()
    """What else it reads: mostly what it wrote itself, to know where to go on."""
    produces: tuple[Topics, ...] = ()
    state: str = "none"
    serves: bool = False
    """It serves HTTP from worker processes, and is as ready as they say: a Kafka client of its own
    would be in the way when it forks.
    """
    drain_s: float = DRAIN_S
    """So long its work may go on after it was told to stop."""

    @property
    def reads(self) -> frozenset[str]:
        """Names of all topics that it reads, with `<source>` and `<view>`."""
        return frozenset(map(topic_name, (*self.consumes, *self.looks_up)))

    @property
    def control_topics(self) -> list[str]:
        """Names of the topics of events that it acts on."""
        return sorted({topic_of(kind) for kind in self.consumes if not isinstance(kind, str)})

    @property
    def writes(self) -> frozenset[str]:
        """Names of all topics that it writes, with `<source>` and `<view>`."""
        return frozenset(map(topic_name, self.produces))


def topic_name(topics: Topics) -> str:
    """A topic's name."""
    return topics if isinstance(topics, str) else topic_of(topics)


def filled(names: Iterable[str], pipeline: SourcesAndViews) -> frozenset[str]:
    """The names for each source, view and model of a definition."""
    known = {
        SOURCE: [source.name for source in pipeline.sources],
        VIEW: [view.name for view in pipeline.views],
        MODEL: [model.name for model in pipeline.models],
    }
    return frozenset(full for name in names for full in _each(name, known))


def _each(name: str, known: Mapping[str, list[str]]) -> list[str]:
    for mark, values in known.items():
        if mark in name:
            return [name.replace(mark, value) for value in values]
    return [name]
