"""What the door refuses, and when: documented with every route of every service."""

from __future__ import annotations

BROKEN = "the body broke off, or its Content-Length is not a number"
DOOR: dict[int, str] = {
    400: BROKEN,
    403: "asked under another name than `TWINSTREAM_HTTP_HOSTS` allows, or by a page of another "
    "site",
    408: "the body did not come in time",
    413: "the body is too large",
    415: "a browser's form; send `Content-Type: application/json`",
    500: "a fault of ours: the log of the service says why",
    503: "more requests than can be answered; `Retry-After` says when to ask again",
}
