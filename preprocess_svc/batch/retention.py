"""Deletes batch views and training sets of old epochs: the history can give each of them again."""

from __future__ import annotations

import re

from preprocess_svc.batch.context import Context
from schemas.topics import base_prefix, training_prefix
from twinstream.mesh.object_store import ObjectStore

_EPOCH = re.compile(r"/epoch=(\d+)/")


class Retention:
    """Keeps the newest `keep_epochs` epochs."""

    def __init__(self, context: Context) -> None:
        pipeline = context.pipeline
        self._store, self._bucket, self._keep = ObjectStore(context.mesh), context.mesh.bucket, context.knobs.keep_epochs
        below = [base_prefix(pipeline.name, view.name, 0) for view in pipeline.views]
        below += [training_prefix(pipeline.name, model.name, 0) for model in pipeline.models]
        self._folders = [prefix.rsplit("/", 1)[0] + "/" for prefix in below]

    def sweep(self, newest: int) -> int:
        """Delete what is older; return how many objects."""
        old = [key for folder in self._folders for key in self._store.list(self._bucket, folder) if expired(key, newest, self._keep)]
        for key in old:
            self._store.delete(self._bucket, key)
        return len(old)


def expired(key: str, newest: int, keep: int) -> bool:
    """Whether an object belongs to none of the `keep` newest epochs. Views hold the bases of two on their own disks, and fetch the newest only."""
    epoch = _EPOCH.search(key)
    return epoch is not None and int(epoch[1]) <= newest - keep
