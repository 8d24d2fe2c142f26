"""The routes of the monitor as data: what OpenAPI and the reference say of them."""

from __future__ import annotations

from twinstream.mesh.door_statuses import DOOR
from twinstream.mesh.openapi import EVENTS, HTML, JSON, Content, Description, HttpOperation, health
from twinstream.mesh.openapi_routes import OPERATIONS as OF_DESCRIPTION

TEXT = {"type": "string"}
FILES = ("text/html", "text/css", "text/javascript", "image/svg+xml", "application/json")
OPERATIONS = (
    HttpOperation(
        method="GET",
        path="/",
        what="the dashboard",
        answers={200: Content(media={HTML: TEXT})},
    ),
    HttpOperation(
        method="GET",
        path="/page/<path:name>",
        what="its files",
        answers={200: Content(media={kind: {} for kind in (*FILES, "text/plain")})},
        refused={404: "there is no such file"},
    ),
    HttpOperation(
        method="GET",
        path="/v1/state",
        what="all that the dashboard shows, as JSON, with half an hour of history",
        answers={200: Content(media={JSON: {"type": "object"}})},
    ),
    HttpOperation(
        method="GET",
        path="/v1/stream",
        what="a new state each second, as server-sent events",
        answers={200: Content(media={EVENTS: TEXT})},
        refused={503: "32 listen to `/v1/stream` already"},
    ),
    *health(),
    *OF_DESCRIPTION,
)


def describe_monitor() -> Description:
    """The service."""
    return Description(title="Twinstream monitor", operations=OPERATIONS, door=DOOR)
