"""Deletes batch views and training sets of old epochs: the history can give each of them again."""

from __future__ import annotations

import re

from preprocess_svc.batch.spark.context import Context
from schemas.topics import base_prefix, training_prefix
from twinstream.mesh.object_store import ObjectStore

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
        self._views = [_above(base_prefix(pipeline.name, view.name, 0)) for view in pipeline.views]
        self._models = [
            _above(training_prefix(pipeline.name, model.name, 0)) for model in pipeline.models
        ]

    def sweep(self, newest: int) -> int:
        """Delete what is older; return how many objects."""
        old = [
            key
            for folder in self._views
            for key in self._store.list(self._bucket, folder)
            if expired(key, newest, self._keep)
        ]
        for folder in self._models:
            old += surplus(list(self._store.list(self._bucket, folder)), self._keep)
        for key in old:
            self._store.delete(self._bucket, key)
        return len(old)


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


def surplus(keys: list[str], keep: int) -> list[str]:
    """The objects that belong to none of the `keep` newest epochs that have any."""
    kept = sorted({epoch for epoch in map(_epoch, keys) if epoch is not None})[-keep:]
    return [key for key in keys if (epoch := _epoch(key)) is not None and epoch < kept[0]]


def _epoch(key: str) -> int | None:
    found = _EPOCH.search(key)
    return None if found is None else int(found[1])
