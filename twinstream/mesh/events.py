"""Control events over Kafka, by the names that the services use; what they are made of is in
`twinstream.mesh.kafka`.
"""

from twinstream.mesh.kafka.cloud_events import Headers, cloud_headers, event_of, headers_of
from twinstream.mesh.kafka.publisher import EventPublisher, Place
from twinstream.mesh.kafka.reader import (
    PAUSE_S,
    Check,
    EventReader,
    Refused,
    pass_over,
    patient,
)

__all__ = [
    "PAUSE_S",
    "Check",
    "EventPublisher",
    "EventReader",
    "Headers",
    "Place",
    "Refused",
    "cloud_headers",
    "event_of",
    "headers_of",
    "pass_over",
    "patient",
]
