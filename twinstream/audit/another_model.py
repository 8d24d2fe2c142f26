"""What another model would have said to a question that was asked."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from schemas.events import ModelPromoted, ModelTrained
from twinstream.audit.rebuild import Rebuilt, models, scored
from twinstream.errors import MeshError
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.pipeline_file import load
from twinstream.mesh.settings import MeshSettings
from twinstream.nn.files import from_files
from twinstream.nn.model_objects import fetch
from twinstream.protocol.predictions import Prediction

Event = ModelTrained | ModelPromoted


class Otherwise(msgspec.Struct, frozen=True):
    """The answer of the model with this digest to the same row."""

    model_digest: str
    output: float


def otherwise(
    settings: MeshSettings,
    rebuilt: Rebuilt,
    wanted: str,
) -> Otherwise:
    """The answer of another model of the same definition, from the features as they were computed
    again. `wanted`: its digest, or the beginning of it. Raises MeshError.
    """
    served = rebuilt.served
    event = chosen(models(settings), served, wanted)
    network = load(settings.pipeline).model(served.model).network
    loaded = from_files(fetch(ObjectStore(settings), event), event.model_digest, network)
    return Otherwise(
        event.model_digest, scored(loaded, rebuilt.features, served.row, served.batch_shape)
    )


def chosen(
    events: Iterable[Event],
    served: Prediction,
    wanted: str,
) -> Event:
    """The one model that is meant; raises MeshError in words when there is none, or several."""
    event = _only(events, served.model, wanted)
    if event.definition_digest != served.release.definition:
        raise MeshError(
            f"model {event.model_digest[:12]} is of definition {event.definition_digest[:12]}, the "
            f"prediction of {served.release.definition[:12]}: it takes other features"
        )
    return event


def _only(
    events: Iterable[Event],
    model: str,
    wanted: str,
) -> Event:
    ours = [event for event in events if event.model == model]
    meant = {event.model_digest: event for event in ours if event.model_digest.startswith(wanted)}
    if not wanted or len(meant) != 1:
        known = dict.fromkeys(event.model_digest[:12] for event in ours)
        raise MeshError(
            f"{len(meant)} models {model} begin with {wanted!r}; "
            f"there are: {', '.join(known) or 'none'}"
        )
    return next(iter(meant.values()))
