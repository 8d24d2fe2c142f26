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
        deleted = 0
        for folder in self._folders:
            for key in self._store.list(self._bucket, folder):
                epoch = _EPOCH.search(key)
                if epoch and int(epoch[1]) <= newest - self._keep:
                    self._store.delete(self._bucket, key)
                    deleted += 1
        return deleted
