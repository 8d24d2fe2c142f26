"""Each HTTP service does what its OpenAPI document says, whatever it is asked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from deploy.reference.http_page import OPERATIONS, Route, served
from ingest_svc.http_api.flask_api import Api, make_app
from ingest_svc.http_api.sending import Gate
from ingest_svc.validation import Screen
from monitor_svc.adapters import flask_page
from monitor_svc.board import Board
from tests.unit.api.fakes import World
from tests.unit.ingest.test_http_api import SOURCE, Kafka, Meter
from tests.unit.monitor.test_page_server import Beats
from tests.unit.monitor.world import state
from twinstream.define.records import Decoder
from twinstream.mesh.clock import ManualClock

load_all_checks()


def not_a_fault(_: Any, response: Any, __: Any) -> None:
    """503 and 504 are answers that are described; 500 is a fault of ours."""
    assert response.status_code != 500, response.text


CHECKS = [
    not_a_fault,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
EXAMPLES = 20
WRONG = schemathesis.GenerationMode.NEGATIVE


def ingest() -> Flask:
    gates = {"orders": Gate(SOURCE, Screen(Decoder(SOURCE), 1000))}
    kafka = Kafka()
    return make_app(Api(gates=gates, raw=kafka, events=kafka, meter=Meter(), clock=ManualClock(5)))


def predict() -> Flask:
    world = World(wait_bound_s=0.01)
    world.promote(seed=1)
    return world.app


def monitor() -> Flask:
    board = Board(state(), Beats(), ManualClock(1))
    return flask_page.make_app(board)


SERVICES: dict[str, Callable[[], Flask]] = {
    "ingest": cache(ingest),
    "predict": cache(predict),
    "monitor": cache(monitor),
}


@cache
def described(service: str) -> Any:
    return schemathesis.openapi.from_wsgi("/openapi.json", SERVICES[service]())


def document(service: str) -> dict[str, Any]:
    found: dict[str, Any] = SERVICES[service]().test_client().get("/openapi.json").json
    return found


def operations() -> list[tuple[str, str]]:
    return [(service, one.route) for service, found in OPERATIONS.items() for one in found]


@pytest.mark.parametrize(("service", "route"), operations())
def test_what_is_answered_is_what_is_described(service: str, route: str) -> None:
    method, _, path = route.partition(" ")
    asked = described(service)[re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path)][method]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=st.one_of(asked.as_strategy(), asked.as_strategy(schemathesis.GenerationMode.NEGATIVE))
    )
    def answers(case: Any) -> None:
        case.validate_response(case.call(), checks=CHECKS)

    answers()


@pytest.mark.parametrize("service", SERVICES)
def test_every_route_is_described(service: str) -> None:
    found = {
        f"{method.upper()} {path}"
        for path, methods in document(service)["paths"].items()
        for method in methods
    }
    assert found == {
        re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", one.name) for one in served() if one.service == service
    }
    assert Route(service, "GET /openapi.json") in set(served())


@pytest.mark.parametrize("service", SERVICES)
def test_each_document_is_openapi_and_its_examples_fit(service: str) -> None:
    whole = document(service)
    assert whole["openapi"] == "3.1.0"
    for methods in whole["paths"].values():
        for operation in methods.values():
            assert operation["summary"].endswith(".")
            for media in operation.get("requestBody", {"content": {}})["content"].values():
                schema = {**media["schema"], "components": whole["components"]}
                if "example" in media:
                    Draft202012Validator(schema).validate(media["example"])


@pytest.mark.parametrize("service", SERVICES)
def test_the_page_loads_nothing_from_elsewhere(service: str) -> None:
    client = SERVICES[service]().test_client()
    page = client.get("/docs")
    assert (page.status_code, page.mimetype) == (200, "text/html")
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert {"/docs/app.js", "/docs/style.css", "/openapi.json"} <= set(files)
    for name in files:
        if not name.startswith("data:"):
            assert client.get(name).status_code == 200
    assert client.get("/docs/../openapi.py").status_code == 404


def test_a_question_is_described_by_the_fields_of_its_spine() -> None:
    schemas = document("predict")["components"]["schemas"]
    row = schemas["Row.will-buy"]
    assert row["required"] == ["shopper", "page", "mobile"]
    kinds = [one["type"] for one in row["properties"]["country"]["anyOf"]]
    assert sorted(kinds) == ["null", "string"]
    example = document("predict")["paths"]["/v1/predict/{model}"]["post"]["requestBody"]
    body = example["content"]["application/json"]["example"]
    answer = SERVICES["predict"]().test_client().post("/v1/predict/will-buy", data=json.dumps(body))
    assert answer.status_code == 200, answer.json
