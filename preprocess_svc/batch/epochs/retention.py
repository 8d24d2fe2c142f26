"""Deletes batch views and training sets of old epochs: the history can give each of them again.

A set on which a model was trained that serves, or may serve again, is kept beside it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable

from preprocess_svc.batch.spark.context import Context
from schemas.events import Event, ModelTrained
from schemas.topics import base_prefix, training_prefix
from twinstream.mesh.object_store import ObjectStore
from twinstream.protocol.succession import Succession

_EPOCH = re.compile(r"/epoch=(\d+)/")


class Retention:
    """Keeps the newest `keep_epochs` epochs, and as many of each model's training sets,
    which not every epoch has.
    """

    def __init__(self, context: Context) -> None:
        pipeline = context.pipeline
        self._store = ObjectStore(context.mesh)
        self._bucket = context.mesh.bucket
        self._keep = context.knobs.keep_epochs
        self._keep_trained = context.knobs.keep_trained
        self._views = [_above(base_prefix(pipeline.name, view.name, 0)) for view in pipeline.views]
        self._models = {
            model.name: _above(training_prefix(pipeline.name, model.name, 0))
            for model in pipeline.models
        }

    def sweep(self, newest: int, models: Iterable[Event]) -> dict[str, set[int]]:
        """Delete what is older; return the epochs of each model whose training sets are there.
        `models`: all that happened to models.
        """
        used = epochs_in_use(models, self._keep_trained)
        self._delete(self._old_bases(newest))
        return {
            model: self._sweep_sets(folder, used.get(model, ()))
            for model, folder in self._models.items()
        }

    def _sweep_sets(self, folder: str, used: Collection[int]) -> set[int]:
        """Delete a model's training sets but for the newest and the used; the epochs of these."""
        keys = list(self._store.list(self._bucket, folder))
        gone = surplus(keys, self._keep, used)
        self._delete(gone)
        return _epochs(keys) - _epochs(gone)

    def _delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._store.delete(self._bucket, key)

    def _old_bases(self, newest: int) -> list[str]:
        return [
            key
            for folder in self._views
            for key in self._store.list(self._bucket, folder)
            if expired(key, newest, self._keep)
        ]


def _above(prefix: str) -> str:
    return prefix.rsplit("/", 1)[0] + "/"


def expired(
    key: str,
    newest: int,
    keep: int,
) -> bool:
    """Whether an object belongs to none of the `keep` newest epochs.

    Views hold the bases of two on their own disks, and fetch the newest only.
    """
    epoch = _epoch(key)
    return epoch is not None and epoch <= newest - keep


def surplus(
    keys: list[str],
    keep: int,
    used: Collection[int] = (),
) -> list[str]:
    """The objects that belong to none of the `keep` newest epochs that have any, and to none that
    are used.
    """
    kept = {*sorted(_epochs(keys))[-keep:], *used}
    return [key for key in keys if (epoch := _epoch(key)) is not None and epoch not in kept]


def epochs_in_use(models: Iterable[Event], keep: int) -> dict[str, set[int]]:
    """Of each model the epochs of the training sets that belong to what serves, to what is asked
    beside it, and to the `keep` newest that a roll back may lead to.
    """
    trained: dict[str, int] = {}
    successions: dict[str, Succession] = defaultdict(Succession)
    for event in models:
        if isinstance(event, ModelTrained):
            trained[event.model_digest] = event.epoch
        elif model := getattr(event, "model", ""):
            successions[model].apply(event)
    used = {model: succession.used(keep) for model, succession in successions.items()}
    return {model: {trained[d] for d in digests if d in trained} for model, digests in used.items()}


def _epochs(keys: Iterable[str]) -> set[int]:
    return {epoch for epoch in map(_epoch, keys) if epoch is not None}


def _epoch(key: str) -> int | None:
    found = _EPOCH.search(key)
    return None if found is None else int(found[1])
