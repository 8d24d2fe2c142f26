"""`/openapi.json`, and a page to try what it describes; nothing is loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import msgspec
from flask import Flask, Response, send_from_directory

from twinstream.mesh.openapi import HTML, JSON, Content, Description, HttpOperation, document

PAGE = Path(__file__).with_name("try_page")
POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
OPERATIONS = (
    HttpOperation(
        method="GET",
        path="/openapi.json",
        what="all routes of this service, with their schemas, in OpenAPI 3.1",
        answers={200: Content(media={JSON: {"type": "object"}})},
    ),
    HttpOperation(
        method="GET",
        path="/docs",
        what="a page that shows them and lets you try each",
        answers={200: Content(media={HTML: {"type": "string"}})},
    ),
    HttpOperation(
        method="GET",
        path="/docs/<path:name>",
        what="the page's files",
        answers={
            200: Content(
                media={
                    "text/css": {"type": "string"},
                    "text/javascript": {"type": "string"},
                    HTML: {"type": "string"},
                }
            )
        },
        refused={404: "there is no such file"},
    ),
)


def register_description(app: Flask, described: Callable[[], Description]) -> None:
    """The routes; the document is made when it is asked for the first time."""

    @cache
    def written() -> bytes:
        return msgspec.json.encode(document(described()))

    app.get("/openapi.json", endpoint="openapi")(lambda: Response(written(), mimetype=JSON))
    app.get("/docs", endpoint="docs")(lambda: page_file("index.html"))
    app.get("/docs/<path:name>", endpoint="docs-file")(page_file)


def page_file(name: str) -> Response:
    """A file of the page, which may load its own files alone."""
    found = send_from_directory(PAGE, name)
    found.headers["Content-Security-Policy"] = POLICY
    found.headers["X-Content-Type-Options"] = "nosniff"
    return found
