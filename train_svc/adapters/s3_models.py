"""Keeps models on versioned S3, below a prefix that names them by digest, so that no path is
written with other content.
"""

from __future__ import annotations

from typing import Any

from schemas.events import ModelPromoted, ModelTrained
from schemas.topics import model_prefix
from train_svc.ports import Stored
from twinstream.mesh.object_store import ObjectStore
from twinstream.nn.files import Loaded, from_files
from twinstream.nn.model_objects import fetch


class S3Models:
    """Saves and loads models of one pipeline."""

    def __init__(self, store: ObjectStore, bucket: str, pipeline: str) -> None:
        self._store, self._bucket, self._pipeline = store, bucket, pipeline

    def save(self, model: str, digest: str, files: dict[str, bytes]) -> Stored:
        """Writes all files; saving the same model again makes new versions of equal bytes."""
        prefix = f"{model_prefix(self._pipeline, model)}/{digest}"
        ids = {
            name: self._store.put(self._bucket, f"{prefix}/{name}", data) or ""
            for name, data in files.items()
        }
        return Stored(f"s3://{self._bucket}/{prefix}", ids)

    def load(self, model: ModelTrained | ModelPromoted, network_class: Any) -> Loaded:
        """Reads the deciding files in the versions that the event pins, and checks them against the
        digest.
        """
        files = fetch(self._store, model)
        return from_files(files, model.model_digest, network_class)
