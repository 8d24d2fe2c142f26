"""An OpenAPI 3.1 document from operations as data; schemas come from the structs that are sent."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal

import msgspec

from twinstream.mesh.problems import PROBLEM, Problem

JSON, OCTETS, HTML = "application/json", "application/octet-stream", "text/html"
ARROW = "application/vnd.apache.arrow.stream"
EVENTS = "text/event-stream"
Schema = dict[str, Any]
REF = "#/components/schemas/{name}"
_PART = re.compile(r"<(?:(?P<kind>\w+):)?(?P<name>\w+)>")
_KINDS: Mapping[str | None, Schema] = {
    None: {"type": "string", "minLength": 1},
    "path": {"type": "string", "minLength": 1},
    "int": {"type": "integer", "minimum": 0},
}


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """A body: by media type its schema, given as a struct or as JSON Schema; and an example."""

    media: Mapping[str, type | Schema]
    example: Any = None


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter of a query or a header."""

    name: str
    what: str
    schema: Schema
    required: bool = False
    place: Literal["query", "header"] = "query"


class HttpOperation(msgspec.Struct, frozen=True, kw_only=True):
    """One route, its path as Flask writes it."""

    method: str
    path: str
    what: str
    """A sentence without its full stop."""
    answers: Mapping[int, Content]
    """By status; `refused` has those that are problems."""
    refused: Mapping[int, str] = {}
    """Statuses answered with a problem, and when."""
    body: Content | None = None
    query: Sequence[Query] = ()

    @property
    def route(self) -> str:
        """Method and path."""
        return f"{self.method} {self.path}"


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """A service: its operations, and what is known of the parts of their paths."""

    title: str
    operations: Sequence[HttpOperation]
    parts: Mapping[str, Sequence[str]] = {}
    """By the name of a part of a path the values that it can have."""
    door: Mapping[int, str]
    """What stands before every route refuses."""
    schemas: Mapping[str, Schema] = {}
    """Schemas of this pipeline, beside those of structs."""
    structs: Sequence[type] = ()
    """Structs that only such schemas name."""
    examples: Mapping[str, Any] = {}
    """By the identifier of an operation a body that this pipeline could be sent."""


def health() -> tuple[HttpOperation, ...]:
    """The routes of health, which every service has."""
    found = Content(media={JSON: {"type": "object"}})
    return (
        HttpOperation(
            method="GET",
            path="/livez",
            what="200 while the process's event loop answers: for what starts it again",
            answers={200: found},
        ),
        HttpOperation(
            method="GET",
            path="/readyz",
            what="200 when it can do its work, else 503 with the reason: for a load balancer",
            answers={200: found, 503: found},
        ),
    )


def document(described: Description) -> Schema:
    """The OpenAPI document."""
    paths: dict[str, Schema] = {}
    for operation in described.operations:
        path = _PART.sub(lambda part: "{" + part["name"] + "}", operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _operation(operation, described)
    return {
        "openapi": "3.1.0",
        "info": {"title": described.title, "version": "1"},
        "paths": paths,
        "components": {"schemas": _components(described)},
    }


def _operation(operation: HttpOperation, described: Description) -> Schema:
    name = _identifier(operation)
    found: Schema = {
        "operationId": name,
        "summary": _sentence(operation.what),
        "parameters": [*_path_parts(operation, described), *map(_parameter, operation.query)],
        "responses": _responses(operation, described),
    }
    if operation.body is not None:
        found["requestBody"] = _request_body(operation.body, described.examples.get(name))
    return found


def _request_body(body: Content, example: Any) -> Schema:
    """`example` None: the body's own."""
    shown = body if example is None else msgspec.structs.replace(body, example=example)
    return {"required": True, "content": _content(shown)}


def _responses(operation: HttpOperation, described: Description) -> Schema:
    """By status, in order: answers, and what is refused."""
    answers = {str(status): _answer(status, found) for status, found in operation.answers.items()}
    refused = {**described.door, **operation.refused}
    for status, when in refused.items():
        problem = _content(Content(media={PROBLEM: Problem}))
        found = answers.setdefault(str(status), {"description": _sentence(when), "content": {}})
        found["content"] |= problem
    return dict(sorted(answers.items()))


def _answer(status: int, found: Content) -> Schema:
    return {"description": HTTPStatus(status).phrase, "content": _content(found)}


def _content(content: Content) -> Schema:
    made = {media: {"schema": _schema(kind)} for media, kind in content.media.items()}
    if content.example is not None:
        next(iter(made.values()))["example"] = content.example
    return made


def _schema(kind: type | Schema) -> Schema:
    return kind if isinstance(kind, dict) else {"$ref": REF.format(name=kind.__name__)}


def _path_parts(operation: HttpOperation, described: Description) -> Iterator[Schema]:
    for part in _PART.finditer(operation.path):
        values = described.parts.get(part["name"])
        schema = {"type": "string", "enum": list(values)} if values else _KINDS[part["kind"]]
        yield {"name": part["name"], "in": "path", "required": True, "schema": schema}


def _parameter(query: Query) -> Schema:
    return {
        "name": query.name,
        "in": query.place,
        "description": _sentence(query.what),
        "required": query.required,
        "schema": query.schema,
    }


def _components(described: Description) -> Schema:
    kinds: dict[type, None] = dict.fromkeys((Problem, *described.structs))
    for operation in described.operations:
        kinds |= dict.fromkeys(_types_of(operation))
    _, found = msgspec.json.schema_components(list(kinds), ref_template=REF)
    return {**{name: _tidied(schema) for name, schema in found.items()}, **described.schemas}


def _types_of(operation: HttpOperation) -> Iterator[type]:
    """Of what it answers and of what it is given."""
    bodies = [*operation.answers.values(), *([operation.body] if operation.body else [])]
    for body in bodies:
        yield from (kind for kind in body.media.values() if isinstance(kind, type))


def _tidied(schema: Any) -> Any:
    """Descriptions without the layout of their docstrings."""
    if isinstance(schema, dict):
        made = {name: _tidied(value) for name, value in schema.items()}
        if isinstance(made.get("description"), str):
            made["description"] = " ".join(inspect.cleandoc(made["description"]).split())
        return made
    return [_tidied(value) for value in schema] if isinstance(schema, list) else schema


def _identifier(operation: HttpOperation) -> str:
    words = re.sub(r"[^0-9A-Za-z]+", "_", operation.path).strip("_") or "root"
    return f"{operation.method.lower()}_{words}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."
