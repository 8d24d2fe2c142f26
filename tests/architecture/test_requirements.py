"""What is declared is imported, and what is imported is declared: by the whole product, and by
the base and each extra.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OWN = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {"examples"}
PRODUCT = sorted(OWN - {"tests", "benchmarks"})
EXTRAS = ("serve", "batch", "train", "search", "demo")
BASE = ("twinstream.entry", "twinstream.language", "twinstream.mesh.pipeline_file")
"""Modules that work without an extra; all of the command line with them but these."""
NEED_EXTRAS = {"ask.py", "model_check.py", "proof.py"}
OF_NO_PRODUCT = "deploy/site"
"""What makes the documentation's pages."""
SERVICES = {
    "ingest_svc": ("serve",),
    "predict_svc": ("serve",),
    "monitor_svc": ("serve",),
    "preprocess_svc.speed": ("serve",),
    "preprocess_svc.batch": ("batch",),
    "preprocess_svc.batch.scoring": ("batch", "train"),
    "train_svc": ("train", "search"),
    "deploy.local": ("batch",),
}
_DISTRIBUTIONS = packages_distributions()


def declared(*names: str) -> dict[str, str]:
    """Distributions of requirement files and why each is there, "" where that is not said."""
    found = {}
    for name in names:
        for line in (ROOT / f"requirements/{name}.in").read_text().splitlines():
            if line and not line.startswith(("#", "-r")):
                wanted, _, why = line.partition("  # ")
                found[plain(re.split(r"[\[=<>~]", wanted)[0])] = why
    return found


def plain(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution.strip()).lower()


def distributions(modules: Iterable[str]) -> set[str]:
    """Those that imported modules come from; a module that nothing installed brings is named
    itself.
    """
    tops = {module.partition(".")[0] for module in modules} - OWN - sys.stdlib_module_names
    return {plain(_DISTRIBUTIONS.get(top, [top])[0]) for top in tops}


def file_of(module: str) -> Path | None:
    path = ROOT / module.replace(".", "/")
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in candidates if file.is_file()), None)


def nodes(tree: ast.AST, *, late: bool) -> Iterator[ast.AST]:
    """Nodes of a module; without `late` only what runs when it is imported."""
    for node in ast.iter_child_nodes(tree):
        later = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        )
        if late or not later:
            yield node
            yield from nodes(node, late=late)


@cache
def imports(file: Path, *, late: bool) -> frozenset[str]:
    found = set[str]()
    for node in nodes(ast.parse(file.read_text()), late=late):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def reached(start: Iterable[Path]) -> set[str]:
    """All modules that files import, directly or through modules of ours; those of `start` also
    late.
    """
    first = set(start)
    waiting, seen, found = list(first), set[Path](), set[str]()
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        named = imports(file, late=file in first)
        found |= named
        waiting += [own for module in named if (own := file_of(module))]
    return found


def files_of(package: str) -> list[Path]:
    found = sorted((ROOT / package.replace(".", "/")).rglob("*.py"))
    return [file for file in found if OF_NO_PRODUCT not in file.as_posix()]


def test_every_requirement_is_imported_or_says_why() -> None:
    product = [file for folder in PRODUCT for file in files_of(folder)]
    used = distributions({name for file in product for name in imports(file, late=True)})
    whole = declared("main", *EXTRAS)
    assert {name for name, why in whole.items() if not why} == used


def test_a_reason_stands_only_where_nothing_is_imported() -> None:
    product = [file for folder in PRODUCT for file in files_of(folder)]
    used = distributions({name for file in product for name in imports(file, late=True)})
    assert {name for name, why in declared("main", *EXTRAS).items() if why} & used == set()


def test_the_base_needs_no_extra() -> None:
    modules = [file for name in BASE if (file := file_of(name))]
    commands = [file for file in files_of("twinstream.cli") if file.name not in NEED_EXTRAS]
    found = distributions(reached([*modules, *commands]))
    assert found <= declared("main").keys()
    assert len(found) > 8


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_needs_the_base_and_its_extras(service: str) -> None:
    inner = {f for name in SERVICES if name.startswith(f"{service}.") for f in files_of(name)}
    found = distributions(reached(set(files_of(service)) - inner))
    assert found - declared("main", *SERVICES[service]).keys() == set()


def test_all_is_every_extra() -> None:
    whole = (ROOT / "requirements/all.in").read_text()
    assert re.findall(r"-r (\w+)\.in", whole) == ["main", *EXTRAS]
    pyproject = (ROOT / "pyproject.toml").read_text()
    named = re.search(r"optional-dependencies\.all\]\nfile = \[(.*?)\]", pyproject, re.DOTALL)
    assert named
    assert re.findall(r"requirements/(\w+)\.in", named[1]) == list(EXTRAS)
