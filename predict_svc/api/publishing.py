"""How predictions become events."""

from __future__ import annotations

from collections.abc import Callable

from schemas.events import PredictionServed, encode
from schemas.topics import topic_of
from twinstream.mesh.events import EventPublisher, cloud_headers

SOURCE = "/predict_svc/api"
LINGER_MS = 20
"""Events travel together: with 1 ms nearly each is a request of its own to the broker."""


def publisher_of(predictions: EventPublisher) -> Callable[[PredictionServed], None]:
    """Publishes one; nobody waits for Kafka."""
    topic = topic_of(PredictionServed)

    def publish(event: PredictionServed) -> None:
        headers = cloud_headers("PredictionServed", SOURCE)
        predictions.publish_raw(topic, encode(event), event.model, headers, wait=False)

    return publish
