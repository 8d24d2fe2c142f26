"""A model's files on S3: one place that knows which of them decide what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from twinstream.nn.digest import DECIDING, PROGRAM


class Objects(Protocol):
    """What is needed of `mesh.object_store.ObjectStore`."""

    def get_uri(self, uri: str, version_id: str | None = None) -> bytes: ...


class Promoted(Protocol):
    """What is needed of the event that names a model."""

    @property
    def uri(self) -> str: ...
    @property
    def version_ids(self) -> Mapping[str, str]: ...


def fetch(objects: Objects, event: Promoted) -> dict[str, bytes]:
    """The deciding files of a model, in the versions that its event pins."""
    names = [*DECIDING, *(name for name in (PROGRAM,) if name in event.version_ids)]
    return {
        name: objects.get_uri(f"{event.uri}/{name}", event.version_ids.get(name) or None)
        for name in names
    }
