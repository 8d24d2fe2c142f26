"""Each process has one anatomy; its `service.py` says the same as its code and its README."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import Any

import pytest

from deploy.local.services import MODULES
from schemas import events as ev
from schemas import topics as known
from schemas.topics import CONTROL_TOPICS, data_topics, topic_of
from twinstream.mesh.service import MODEL, SOURCE, VIEW, Service, filled

ROOT = Path(__file__).parents[2]
LONGEST_ENTRY = 25
MAKERS = ("record_sent", "records_accepted", "partials_folded", "dead_letter")
EVENTS = {name for name, kind in vars(ev).items() if isinstance(kind, type)}
TOPICS = [*CONTROL_TOPICS, *data_topics([SOURCE], [VIEW], [MODEL])]
ANY_ONE = {"mesh.metric-observed.v1"}
"""Every process writes it."""
READMES = {"ingest-http": "ingest_svc", "predict": "predict_svc"}
"""Of processes without a README of their own."""


def folder(process: str) -> Path:
    return ROOT / MODULES[process].replace(".", "/")


def service(process: str) -> Service[Any]:
    return importlib.import_module(f"{MODULES[process]}.service").SERVICE


def code(process: str) -> list[Path]:
    """Its modules: not its `service.py`, and not those of another process below it."""
    others = [folder(other) for other in MODULES if folder(process) in folder(other).parents]
    return [
        path
        for path in sorted(folder(process).rglob("*.py"))
        if path.name != "service.py" and not any(other in path.parents for other in others)
    ]


def name(node: ast.AST) -> str:
    """`X` and `ev.X` are both X."""
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def names_in(path: Path) -> set[str]:
    return {name(node) for node in ast.walk(ast.parse(path.read_text()))}


def made_in(path: Path) -> set[str]:
    """Events that the module constructs."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return {name(call.func) for call in calls} & EVENTS


def events_of(topics: Any) -> set[str]:
    return {kind.__name__ for kind in topics if isinstance(kind, type)}


@pytest.mark.parametrize("process", MODULES)
def test_a_process_is_called_what_its_service_is(process: str) -> None:
    assert service(process).name == process


@pytest.mark.parametrize("process", MODULES)
def test_an_entry_decides_nothing(process: str) -> None:
    source = (folder(process) / "__main__.py").read_text()
    decisions = (ast.For, ast.While, ast.Try, ast.With, ast.Lambda, ast.IfExp)
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, decisions)]
    assert found == []
    assert "process.run(SERVICE, run)" in source
    assert len(source.splitlines()) <= LONGEST_ENTRY


@pytest.mark.parametrize("process", MODULES)
def test_a_service_is_data(process: str) -> None:
    tree = ast.parse((folder(process) / "service.py").read_text())
    acts = (ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.Try, ast.With, ast.If)
    assert [node for node in ast.walk(tree) if isinstance(node, acts)] == []


@pytest.mark.parametrize("process", MODULES)
def test_what_a_service_declares_is_a_topic_of_the_mesh(process: str) -> None:
    assert service(process).reads | service(process).writes <= {topic.name for topic in TOPICS}


@pytest.mark.parametrize("process", MODULES)
def test_each_event_that_a_process_makes_is_declared(process: str) -> None:
    made = {event for path in code(process) for event in made_in(path)}
    carried = {event for event in made if getattr(ev, event) in known._NAME_OF}
    assert carried <= events_of(service(process).produces)


@pytest.mark.parametrize("process", MODULES)
def test_each_event_that_is_declared_is_used(process: str) -> None:
    used = {used for path in code(process) for used in names_in(path)}
    declared = events_of((*service(process).looks_up, *service(process).produces))
    assert declared - used - {"MetricObserved"} == set()


@pytest.mark.parametrize("process", MODULES)
def test_each_topic_of_a_source_or_view_that_is_used_is_declared(process: str) -> None:
    used = {used for path in code(process) for used in names_in(path)} & set(MAKERS)
    declared = service(process).reads | service(process).writes
    lacking = {
        maker
        for maker in used - {"dead_letter"}
        if getattr(known, maker)(VIEW if maker == "partials_folded" else SOURCE) not in declared
    }
    assert lacking == ASKED_FOR_ENDS.get(process, set())


ASKED_FOR_ENDS = {"view": {"records_accepted"}, "predict": {"record_sent"}}
"""They ask where these topics end, and read none of their messages."""


def test_each_topic_has_the_writer_that_its_name_says() -> None:
    writers: dict[str, set[str]] = {}
    for process in MODULES:
        for name in service(process).writes - ANY_ONE:
            writers.setdefault(name, set()).add(process)
    for name, processes in writers.items():
        assert {service(process).writer for process in processes} == {name.split(".")[0]}


def test_each_topic_of_the_mesh_is_written_by_a_process() -> None:
    written = {name for process in MODULES for name in service(process).writes}
    ours = {topic.name for topic in TOPICS if topic.writer != "client"}
    assert ours - written == set()


def test_names_are_filled_for_each_source_and_view() -> None:
    class Named:
        def __init__(self, name: str) -> None:
            self.name = name

    class Two:
        sources = (Named("orders"), Named("stock"))
        views = (Named("by-buyer"),)
        models = (Named("will-buy"),)

    wanted = [known.record_sent(SOURCE), known.partials_folded(VIEW), "mesh.metric-observed.v1"]
    assert filled(wanted, Two()) == {
        known.record_sent("orders"),
        known.record_sent("stock"),
        known.partials_folded("by-buyer"),
        "mesh.metric-observed.v1",
    }


@pytest.mark.parametrize("process", MODULES)
def test_a_readme_lists_what_the_service_declares(process: str) -> None:
    readme = ROOT / READMES.get(process, MODULES[process].replace(".", "/")) / "README.md"
    lacking = [row for row in rows(process) if row not in readme.read_text().splitlines()]
    assert lacking == [], f"put these lines into {readme.relative_to(ROOT)}"


def rows(process: str) -> list[str]:
    """A table of the process in a README."""
    found = service(process)
    acts_on = frozenset(map(topic_in_readme, found.consumes))
    return [
        f"| process | `python -m {MODULES[process]}` |",
        f"| acts on | {listed(acts_on)} |",
        f"| looks up | {listed(found.reads - acts_on)} |",
        f"| writes | {listed(found.writes)} |",
        f"| keeps | {found.state} |",
    ]


def topic_in_readme(topics: Any) -> str:
    return topics if isinstance(topics, str) else topic_of(topics)


def listed(names: frozenset[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) or "no topic"
