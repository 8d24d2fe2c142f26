"""A promoted model, from S3 to a network that answers."""

from __future__ import annotations

from predict_svc.api.slots import LoadNetwork, Wanted
from twinstream.define.pipeline import Pipeline
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.settings import MeshSettings
from twinstream.nn.scorer import Scorer, load_scorer


def network_loader(settings: MeshSettings, pipeline: Pipeline) -> LoadNetwork:
    """Loads the models of this definition, as `load_scorer` says."""
    store = ObjectStore(settings)

    def load_network(promoted: Wanted) -> Scorer:
        network_class = pipeline.model(promoted.model).network
        return load_scorer(store, promoted, network_class, pipeline.digest)

    return load_network
