"""The whole definition: models, and through them every view, label and source."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Protocol, TypeVar

import msgspec

from twinstream.define.location import did_you_mean, here, refuse, shown
from twinstream.define.model import Model
from twinstream.define.names import check_thing
from twinstream.define.plain import listed
from twinstream.define.source import Source
from twinstream.define.view import View

FORMAT = 1
"""Version of the canonical form that the digest is taken of."""


class _Named(Protocol):
    name: str

    def canonical(self) -> dict[str, Any]: ...


T = TypeVar("T", bound=_Named)


class Pipeline:
    """Declares a pipeline: `models`, and `views` that are kept though no model reads them."""

    def __init__(self, name: str, *, models: Sequence[Model], views: Sequence[View] = ()) -> None:
        self.at = here()
        self.name = check_thing(name, "pipeline")
        models, views = self._checked(models, views)
        self.models: tuple[Model, ...] = _distinct(models, "model")
        of_models = [v for m in models for v in m.views]
        self.views: tuple[View, ...] = _distinct([*of_models, *views], "view")
        self.sources: tuple[Source, ...] = _distinct(self._used_sources(), "source")

    def _used_sources(self) -> list[Source]:
        of_models = [source for m in self.models for source in (m.spine, m.label.source)]
        return of_models + [view.source for view in self.views]

    def _checked(
        self, models: Sequence[Model], views: Sequence[View]
    ) -> tuple[tuple[Model, ...], tuple[View, ...]]:
        name = self.name
        models = listed(models, f"models= of pipeline {name!r}")
        views = listed(views, f"views= of pipeline {name!r}")
        if not models or not all(isinstance(m, Model) for m in models):
            refuse(
                f"pipeline {name!r} has models={shown(models)}", "give a list of one or more Model"
            )
        if not all(isinstance(v, View) for v in views):
            refuse(f"pipeline {name!r} has views={shown(views)}", "give a list of View")
        return models, views

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of everything that is declared: equal on every machine for equal
        definitions.
        """
        return hashlib.sha256(msgspec.json.encode(self.canonical(), order="sorted")).hexdigest()

    def canonical(self) -> dict[str, Any]:
        parts = {
            kind: [x.canonical() for x in getattr(self, kind)]
            for kind in ("sources", "views", "models")
        }
        return {"format": FORMAT, "name": self.name, **parts}

    def source(self, name: str) -> Source:
        """The source of that name; raises DefinitionError when there is none."""
        return _find(self.sources, name, "source")

    def view(self, name: str) -> View:
        """The view of that name; raises DefinitionError when there is none."""
        return _find(self.views, name, "view")

    def model(self, name: str) -> Model:
        """The model of that name; raises DefinitionError when there is none."""
        return _find(self.models, name, "model")

    def views_of(self, source: str) -> tuple[View, ...]:
        """Views that aggregate a source."""
        return tuple(view for view in self.views if view.source.name == source)

    def __repr__(self) -> str:
        return f"Pipeline({self.name!r}, {self.digest[:12]})"


def _distinct(things: Iterable[T], what: str) -> tuple[T, ...]:
    """Each thing once, in order; refuses two different ones of one name."""
    found: dict[str, T] = {}
    for thing in things:
        other = found.setdefault(thing.name, thing)
        if other is not thing and other.canonical() != thing.canonical():
            refuse(
                f"there are two different {what}s named {thing.name!r}",
                "give one of them another name",
            )
    return tuple(found.values())


def _find(things: Sequence[T], name: str, what: str) -> T:
    found = next((thing for thing in things if thing.name == name), None)
    return found or refuse(
        f"the pipeline has no {what} {name!r}", did_you_mean(name, [t.name for t in things])
    )
