"""`GET /v1/views/<view>` past Flask: a key that is asked for plainly is read in the event loop."""

from __future__ import annotations

from urllib.parse import parse_qsl

from predict_svc.api.base import Api, told
from predict_svc.api.messages import Wish
from predict_svc.api.routes import failure
from predict_svc.api.view_routes import ARROW, KeyQuery, single
from twinstream.mesh.door import Answer, Headers, ReadLane

PREFIX = "/v1/views/"
PLAIN = {"key", "feature", "at"}


def view_lane(api: Api) -> ReadLane:
    """The lane below `PREFIX`."""

    def take(view: str, query: bytes, headers: Headers) -> Answer | None:
        if not view or "/" in view or ARROW.encode() in headers.get(b"accept", b""):
            return None
        if (asked := plain(query)) is None:
            return None
        try:
            return told(single(api, view, asked, Wish()))
        except Exception as error:  # noqa: BLE001  (`failure` knows every kind)
            return failure(api, error, PREFIX + view)

    return take


def plain(query: bytes) -> KeyQuery | None:
    """What is asked for, when it is a key that may be read as it is now."""
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError:
        return None
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        given.setdefault(name, []).append(value)
    if not given.keys() <= PLAIN:
        return None
    at = given.get("at")
    return KeyQuery(given.get("key", []), given.get("feature"), at[0] if at else None)
