"""Paths of the Open Inference Protocol; what they answer is what `/v1/predict` answers."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from flask import Flask, Response, request

from predict_svc.api.answering import predicted
from predict_svc.api.base import Api, active_of, answer
from predict_svc.api.forms import unpacked
from predict_svc.api.inference.tensor_answers import answer_of, check_outputs, metadata_of
from predict_svc.api.inference.tensor_messages import ModelReady, ServerMetadata
from predict_svc.api.inference.tensor_questions import question_of, received
from predict_svc.api.messages import RequestError, TooLargeError, UnknownError
from predict_svc.api.routing import answering_release
from predict_svc.api.serving import Active
from twinstream.define import Model
from twinstream.mesh.problems import Place

HEADER_LENGTH = "Inference-Header-Content-Length"
WORTH_PACKING = 1024
"""Bytes; less is not packed even if it may be."""
READY, LIVE = "/v2/health/ready", "/v2/health/live"


def register_inference(app: Flask, api: Api) -> None:
    """The routes."""
    app.get("/v2", endpoint="v2")(server)
    app.get(LIVE, endpoint="v2-live")(lambda: answer({"live": True}))
    app.get(READY, endpoint="v2-ready")(lambda: server_ready(api))
    for version_of, name in (("", ""), ("/versions/<release>", "-release")):
        path = f"/v2/models/<model>{version_of}"
        app.get(path, endpoint=f"v2-model{name}")(
            lambda model, release="": model_metadata(api, model, release)
        )
        app.get(f"{path}/ready", endpoint=f"v2-model-ready{name}")(
            lambda model, release="": model_ready(api, model, release)
        )
        app.post(f"{path}/infer", endpoint=f"v2-infer{name}")(
            lambda model, release="": infer(api, model, release)
        )


def server() -> Response:
    """What answers here."""
    try:
        release = version("twinstream")
    except PackageNotFoundError:  # run from a folder
        release = "0"
    found = ServerMetadata(
        name="twinstream",
        version=release,
        extensions=["binary_tensor_data"],
    )
    return answer(found)


def server_ready(api: Api) -> Response:
    """200 when views can be read, else 503."""
    ready, _ = api.ready()
    return answer({"ready": ready}, 200 if ready else 503)


def model_metadata(api: Api, model: str, release: str) -> Response:
    """Inputs, outputs and the release that answers; a model that has none yet has its inputs."""
    declared, active = declared_in(api, model), api.serving.now.active.get(model)
    check_release(model, active, release)
    return answer(metadata_of(declared, active))


def model_ready(api: Api, model: str, release: str) -> Response:
    """200 when the model answers, else 503."""
    declared_in(api, model)
    active = api.serving.now.active.get(model)
    check_release(model, active, release)
    return answer(ModelReady(name=model, ready=active is not None), 200 if active else 503)


def infer(api: Api, model: str, release: str) -> Response:
    """Predictions; the same ids and events as of `/v1/predict`."""
    active = active_of(api, model)
    check_release(model, active, release)
    found = received(plain_body(api.body_bytes), request.headers.get(HEADER_LENGTH, ""))
    check_outputs(found.request)
    body = question_of(active.form.model, found, api.predictor.max_rows)
    choose = of_version if release else answering_release
    data, head = answer_of(model, found.request, predicted(api, model, body, choose))
    return sent(data, head)


def of_version(api: Api, model: str, _rows: Sequence[Any]) -> Active:
    """Who names the version is answered by it, whatever the key."""
    return active_of(api, model)


def declared_in(api: Api, model: str) -> Model:
    """The model as it is declared; raises UnknownError."""
    for declared in api.pipeline.models:
        if declared.name == model:
            return declared
    names = ", ".join(one.name for one in api.pipeline.models)
    raise UnknownError(f"there is no model {model!r}; there are: {names}")


def check_release(model: str, active: Active | None, release: str) -> None:
    """A version is the release that answers, or the model of it; raises UnknownError."""
    if not release or (active and release in {active.name, active.release.model}):
        return
    now = active.name if active else "none"
    raise UnknownError(
        f"model {model} has no version {release[:100]!r}; the release that answers is {now}"
    )


def plain_body(most: int) -> bytes:
    """The body as it was before it was packed; raises RequestError."""
    data, packing = request.get_data(cache=False), request.headers.get("Content-Encoding", "")
    packing = packing.strip().lower()
    if packing in {"", "identity"}:
        return data
    if packing in {"gzip", "zstd"}:
        return unpacked(data, most)
    if packing == "deflate":
        return _inflated(data, most)
    raise RequestError(
        f"Content-Encoding {packing[:40]!r} is not taken",
        Place(field="Content-Encoding", remedy="send gzip, deflate, zstd or plain"),
    )


def _inflated(data: bytes, most: int) -> bytes:
    unpacking = zlib.decompressobj()
    try:
        plain = unpacking.decompress(data, most + 1)
    except zlib.error as error:
        raise RequestError(f"the body cannot be unpacked: {error}") from error
    if len(plain) > most:
        raise TooLargeError(
            f"the body unpacks to more than {most} bytes", Place(remedy="send it in parts")
        )
    if not unpacking.eof or unpacking.unused_data:
        raise RequestError("the body cannot be unpacked: it breaks off, or something follows it")
    return plain


def sent(data: bytes, head: int) -> Response:
    """The answer, packed if the client takes that."""
    found = Response(data, mimetype="application/json")
    if head != len(data):
        found.mimetype = "application/octet-stream"
        found.headers[HEADER_LENGTH] = str(head)
    found.vary.add("Accept-Encoding")
    packing = request.accept_encodings.best_match(["gzip", "deflate"])
    if packing and len(data) >= WORTH_PACKING:
        pack = gzip.compress if packing == "gzip" else zlib.compress
        found.set_data(pack(data, 1))
        found.headers["Content-Encoding"] = packing
    return found
