"""The files of the page, in memory: they are the same for everybody, and small."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from twinstream.mesh.door import Answer, Headers, ReadLane

PAGE = Path(__file__).parents[1] / "page"
POLICY = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'"
HEADERS = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("cache-control", "no-cache"),
]


def page_lanes() -> dict[str, ReadLane]:
    """What answers to the page's paths; a file that there is not goes the usual way."""
    answers = {
        str(path.relative_to(PAGE)): _answer(path) for path in PAGE.rglob("*") if path.is_file()
    }

    def index(
        _rest: str,
        _query: bytes,
        _headers: Headers,
    ) -> Answer | None:
        return answers["index.html"]

    def file(
        rest: str,
        _query: bytes,
        _headers: Headers,
    ) -> Answer | None:
        return answers.get(rest)

    return {"/": index, "/page/": file}


def _answer(path: Path) -> Answer:
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    text = f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
    body = path.read_bytes()
    length = ("content-length", str(len(body)))
    return Answer(200, [("content-type", text), length, *HEADERS], body)
