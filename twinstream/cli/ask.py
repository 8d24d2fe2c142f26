"""`predict` and `demo`: what comes out of a mesh."""

from __future__ import annotations

import re
import sys
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer

from twinstream.cli import running
from twinstream.cli.options import DEFAULT_DATA, Data, Timeout, finite
from twinstream.cli.show import as_json, note
from twinstream.errors import MeshError, NotRunningError, SettingsError, WaitTimeoutError
from twinstream.mesh.loopback import open_url

MICROSECONDS = re.compile(r"-?[0-9]{1,18}")


Model = Annotated[str, typer.Argument(help="A model of your definition.")]
Rows = Annotated[
    str,
    typer.Argument(
        help="One JSON object of request fields, or a list of them; - is standard input."
    ),
]
At = Annotated[str, typer.Option(help="The moment to answer for; default: now.")]
MinPosition = Annotated[str, typer.Option(help="Wait until this is applied: what `send` printed.")]
MaxStaleness = Annotated[
    float,
    typer.Option(
        callback=finite,
        help="Wait until all that had come so long ago is applied; below 0: any age.",
    ),
]
DemoData = Annotated[
    Path,
    typer.Option("--data", help="Folder of the demo; what an earlier run left there is replaced."),
]
Days = Annotated[int, typer.Option(min=1, max=92, help="Live days, from 1 October 2013 on.")]
KeepUp = Annotated[
    bool, typer.Option("--keep-up", help="Leave the mesh running at the end, to look at its page.")
]
Variants = Annotated[
    bool, typer.Option(help="Also train the two models that the live one is compared with.")
]
Kill = Annotated[
    bool,
    typer.Option("--kill", help="End each service once with kill -9 while the days are played."),
]


def predict(
    model: Model,
    rows: Rows = "-",
    at: At = "",
    min_position: MinPosition = "",
    max_staleness_ms: MaxStaleness = -1.0,
    data: Data = DEFAULT_DATA,
    timeout: Timeout = 30.0,
) -> None:
    """Ask a model; print the answer as JSON: predictions, id, release and position."""
    address = running.mesh(data).addresses["predict"]
    body = {"rows": _rows(sys.stdin.buffer.read() if rows == "-" else rows)}
    body |= _conditions(at, min_position, max_staleness_ms)
    as_json(post(f"{address}/v1/predict/{quote(model, safe='', errors='replace')}", body, timeout))


def _conditions(
    at: str,
    min_position: str,
    max_staleness_ms: float,
) -> dict[str, Any]:
    """Which moment is meant, and what the answer must have seen."""
    body: dict[str, Any] = {}
    if at:
        body["at"] = int(at) if MICROSECONDS.fullmatch(at) else at
    if min_position:
        body["min_position"] = _json(min_position, "--min-position")
    if max_staleness_ms >= 0:
        body["max_staleness_ms"] = max_staleness_ms
    return body


def _rows(text: str | bytes) -> msgspec.Raw | list[msgspec.Raw]:
    """The rows as they are written: no decimal passes through a float."""
    found = _json(text, "the rows")
    return found if bytes(found).lstrip().startswith(b"[") else [found]


def _json(text: str | bytes, what: str) -> msgspec.Raw:
    try:
        return _raw(text if isinstance(text, bytes) else text.encode())
    except (ValueError, RecursionError) as error:
        raise SettingsError(
            f'{what}: not JSON ({error}); write for example \'{{"origin": "JFK"}}\''
        ) from error


def _raw(data: bytes) -> msgspec.Raw:
    """Raises ValueError for what is not JSON in UTF-8."""
    data.decode()
    return msgspec.json.decode(data, type=msgspec.Raw)


def post(
    url: str,
    body: object,
    timeout_s: float,
) -> Any:
    """The JSON answer to a JSON request; raises MeshError with the server's words."""
    return answer_to(
        urllib.request.Request(  # noqa: S310
            url, msgspec.json.encode(body), {"content-type": "application/json"}
        ),
        timeout_s,
    )


def answer_to(request: urllib.request.Request, timeout_s: float) -> Any:
    """The JSON answer to a request; raises MeshError with the server's words."""
    url = request.full_url
    text = _text_of(request, timeout_s)
    try:
        return msgspec.json.decode(text)
    except ValueError as error:
        raise MeshError(
            f"{url} did not answer with JSON: is it a predictor of this mesh? {text[:200]!r}"
        ) from error


def _text_of(request: urllib.request.Request, timeout_s: float) -> bytes:
    url = request.full_url
    try:
        with open_url(request, timeout_s) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        raise MeshError(f"refused ({error.code}): {_words(error.read())}") from error
    except TimeoutError as error:
        raise WaitTimeoutError(f"no answer from {url} within {timeout_s:.0f} s") from error
    except (OSError, HTTPException) as error:
        raise NotRunningError(
            f"nothing answers at {url}: {getattr(error, 'reason', error)}; see twinstream status"
        ) from error


def _words(body: bytes) -> str:
    """What an error answer says."""
    try:
        found = msgspec.json.decode(body)
    except ValueError:
        return body.decode(errors="replace")[:500]
    said = found.get("error", found) if isinstance(found, dict) else found
    return str(said)


def demo(
    data: DemoData = Path(".twinstream/demo"),
    days: Days = 14,
    keep_up: KeepUp = False,  # noqa: FBT002
    variants: Variants = True,  # noqa: FBT002
    kill: Kill = False,  # noqa: FBT002
) -> None:
    """The whole loop on a year of real flights: files, epoch, training, two weeks live,
    and a report. About 8 minutes on two cores.
    """
    from examples.flights.demo import main

    report = main(data, days=days, keep_up=keep_up, with_variants=variants, kill=kill)
    note(f"report: {report}")
