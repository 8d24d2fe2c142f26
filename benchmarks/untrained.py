"""A network that nobody trained, promoted: the predictor then works as it does with a trained
one.
"""

from __future__ import annotations

import time
from typing import Any

import torch

from schemas.events import ModelPromoted
from schemas.topics import model_prefix
from twinstream.define import Model, Pipeline
from twinstream.features.inputs import Inputs
from twinstream.mesh.events import EventPublisher
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.settings import MeshSettings
from twinstream.nn.digest import model_digest, qualified_name
from twinstream.nn.files import ModelConfig, to_files

NO_STATISTICS: dict[str, Any] = {"numeric": {}, "categories": {}, "sequences": {}}


def promote(settings: MeshSettings, pipeline: Pipeline, model: Model) -> None:
    """Puts its files on S3 and publishes the event."""
    torch.manual_seed(1)
    inputs = Inputs.of(model.inputs)
    config = ModelConfig(
        model=model.name,
        network=qualified_name(model.network),
        arguments={},
        inputs=inputs,
        statistics=NO_STATISTICS,
        definition_digest=pipeline.digest,
    )
    files = to_files(model.network(inputs, NO_STATISTICS), config, {})
    digest, store = model_digest(files), ObjectStore(settings)
    prefix = f"{model_prefix(pipeline.name, model.name)}/{digest}"
    versions = {
        name: store.put(settings.model_bucket, f"{prefix}/{name}", data) or ""
        for name, data in files.items()
    }
    EventPublisher(settings, "/benchmarks").publish(
        ModelPromoted(
            model=model.name,
            model_digest=digest,
            uri=f"s3://{settings.model_bucket}/{prefix}",
            version_ids=versions,
            definition_digest=pipeline.digest,
            metrics={},
            promoted_at_us=time.time_ns() // 1000,
        ),
        key=model.name,
    )
