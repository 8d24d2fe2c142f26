"""A promoted model, from S3 to a network that answers."""

from __future__ import annotations

from predict_svc.api.activation import LoadNetwork
from predict_svc.api.serving import Network
from schemas.events import ModelPromoted
from twinstream.define.pipeline import Pipeline
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.settings import MeshSettings
from twinstream.nn.digest import ModelCorruptError
from twinstream.nn.files import from_files
from twinstream.nn.model_objects import fetch


def network_loader(settings: MeshSettings, pipeline: Pipeline) -> LoadNetwork:
    """Fetches a promoted model's files in the versions that its event pins, and checks them
    against its digest.
    """
    store = ObjectStore(settings)

    def load_network(promoted: ModelPromoted) -> Network:
        model = pipeline.model(promoted.model)
        loaded = from_files(fetch(store, promoted), promoted.model_digest, model.network)
        made_for = loaded.config.definition_digest
        if made_for != pipeline.digest:
            raise ModelCorruptError(
                f"model {promoted.model_digest[:12]} says that it was made for definition"
                f" {made_for[:12]}"
            )
        return Network(promoted.model_digest, loaded)

    return load_network
