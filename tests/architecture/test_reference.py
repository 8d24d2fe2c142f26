"""The pages of docs/reference say what the code does: all of it, and nothing that is gone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from deploy.reference import errors_page, event_fields, events_page, http_page, settings_page
from deploy.reference.declared import ROOT, fields_of, modules
from deploy.reference.pages import FOLDER, PAGES, written
from schemas.events import EVENT_TYPES
from twinstream.mesh.metric_catalogue import BY_PROCESS
from twinstream.mesh.settings import MeshSettings

KINDS = {"count": "counter", "gauge": "gauge", "observe": "summary"}
METERS = re.compile(r"(^|\.)_?(meter|metrics)$")
OTHERWISE = {"self._count": "count", "self.count": "count"}
"""How the door, and the metrics themselves, count."""
CATALOGUE = {metric.name: metric for metrics in BY_PROCESS.values() for metric in metrics}


class Sent(NamedTuple):
    """A call that sends a metric; `labels` None: given as one mapping."""

    place: str
    name: str | None
    kind: str
    unit: str
    labels: frozenset[str] | None


@pytest.fixture(scope="module")
def pages() -> dict[Path, str]:
    return written()


@pytest.fixture(scope="module")
def sent() -> list[Sent]:
    return [call for path, tree in modules().items() for call in calls(path, tree)]


def calls(path: Path, tree: ast.Module) -> Iterator[Sent]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            receiver, method = ast.unparse(node.func.value), node.func.attr
            method = OTHERWISE.get(ast.unparse(node.func), method)
            known = METERS.search(receiver) or ast.unparse(node.func) in OTHERWISE
            if known and method in KINDS:
                yield sent_by(f"{path}:{node.lineno}", node, method)


def sent_by(place: str, node: ast.Call, method: str) -> Sent:
    given = [arg.value if isinstance(arg, ast.Constant) else None for arg in node.args]
    unit = "1" if method == "count" else str(given[2]) if len(given) > 2 else ""
    names = [keyword.arg for keyword in node.keywords]
    labels = None if None in names else frozenset(name for name in names if name)
    name = given[0] if isinstance(given[0], str) else None
    return Sent(place, name, KINDS[method], unit, labels)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_code_says(name: str, pages: dict[Path, str]) -> None:
    path = (FOLDER / name).resolve()
    assert path.read_text() == pages[path], "run `make reference`"


def test_the_first_page_names_every_page() -> None:
    named = set(re.findall(r"\]\(([a-z-]+\.md)\)", (FOLDER / "README.md").read_text()))
    assert named == {path.name for path in FOLDER.glob("*.md")} - {"README.md"}


def test_every_setting_says_what_it_is() -> None:
    kinds = [MeshSettings, *settings_page.services()]
    silent = [
        v for kind in kinds for v, field, _ in settings_page.variables(kind) if not field.what
    ]
    assert silent == []


def test_every_variable_that_the_code_names_is_documented(pages: dict[Path, str]) -> None:
    page = pages[FOLDER / "settings.md"]
    named = {
        name
        for path in modules()
        for name in re.findall(r"TWINSTREAM_[A-Z0-9_]*[A-Z0-9]\b(?!_)", (ROOT / path).read_text())
    }
    prefixes = {kind.PREFIX.rstrip("_") for kind in settings_page.services()}
    assert {name for name in named if f"`{name}`" not in page} <= prefixes


def test_every_metric_that_is_sent_is_documented(sent: list[Sent]) -> None:
    assert {call.name for call in sent if call.name} == set(CATALOGUE)


def test_the_name_of_a_metric_is_written_where_it_is_sent(sent: list[Sent]) -> None:
    assert [call.place for call in sent if call.name is None] == []


def test_a_metric_has_the_kind_and_unit_that_are_documented(sent: list[Sent]) -> None:
    wrong = [
        call.place
        for call in sent
        if call.name in CATALOGUE
        and (CATALOGUE[call.name].kind, CATALOGUE[call.name].unit) != (call.kind, call.unit)
    ]
    assert wrong == []


def test_a_metric_has_the_labels_that_are_documented(sent: list[Sent]) -> None:
    wrong = [
        call.place
        for call in sent
        if call.name in CATALOGUE
        and call.labels is not None
        and call.labels != frozenset(CATALOGUE[call.name].labels)
    ]
    assert wrong == []


def test_every_route_is_documented() -> None:
    documented = {
        (service, route) for service, found in http_page.ROUTES.items() for route in found
    }
    assert set(http_page.served()) == documented


@pytest.mark.parametrize(
    ("path", "documented"),
    [
        ("twinstream/mesh/door.py", http_page.DOOR),
        ("ingest_svc/http_api/flask_api.py", http_page.INGEST),
        ("predict_svc/api/messages.py", http_page.statuses() | {200: ""}),
    ],
)
def test_every_status_that_a_service_answers_is_documented(
    path: str, documented: dict[int, str]
) -> None:
    found = {
        node.value
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.Constant) and type(node.value) is int and 200 < node.value < 600
    }
    assert found <= set(documented)
    assert set(documented) - found <= {200}


def test_every_field_of_an_event_says_what_it_is() -> None:
    kinds = [*EVENT_TYPES.values(), *events_page.PARTS]
    silent = [
        f"{kind.__name__}.{field.name}"
        for kind in kinds
        for field in fields_of(kind)
        if not events_page.meaning(kind, field)
    ]
    assert silent == []


def test_no_field_of_an_event_is_explained_that_is_gone() -> None:
    kinds = [*EVENT_TYPES.values(), *events_page.PARTS]
    names = {(kind.__name__, field.name) for kind in kinds for field in fields_of(kind)}
    known = {field for _, field in names} | {f"{kind}.{field}" for kind, field in names}
    assert set(event_fields.FIELDS) <= known


def test_every_error_says_what_it_means() -> None:
    assert [error.name for error in errors_page.found() if not error.what] == []


def test_every_class_that_is_raised_as_an_error_is_documented() -> None:
    named = {
        node.name
        for tree in modules().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name.endswith("Error")
    }
    assert named <= {error.name for error in errors_page.found()}
