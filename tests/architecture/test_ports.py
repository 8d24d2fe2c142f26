"""A port is held by a contract test that runs on each of its implementations."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.contract.ports import PORTS, SHAPES
from tests.tidy.product import PRODUCT

ROOT = Path(__file__).parents[2]


def protocols() -> set[str]:
    """Every Protocol, by file and name."""
    return {
        f"{path.relative_to(ROOT).as_posix()}:{node.name}"
        for folder in PRODUCT
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and "Protocol" in map(base_name, node.bases)
    }


def base_name(node: ast.expr) -> str:
    """`Protocol` of `Protocol`, `Protocol[T]` and `typing.Protocol`."""
    return ast.unparse(node).partition("[")[0].rpartition(".")[2]


def test_every_protocol_is_a_port_or_says_what_it_is() -> None:
    listed = [*PORTS, *SHAPES]
    assert sorted(listed) == sorted(protocols())


@pytest.mark.parametrize(("port", "test"), PORTS.items())
def test_a_port_is_named_by_the_test_that_holds_it(port: str, test: str) -> None:
    name = port.rpartition(":")[2]
    text = (ROOT / test).read_text()
    assert re.search(rf"\b{name}\b", text), f"{test} does not say {name}"


def test_a_ports_module_holds_ports() -> None:
    """What `ports.py` declares is a port, or the answer of one."""
    shapes = {name for name in SHAPES if name.partition(":")[0].endswith("/ports.py")}
    assert shapes <= {"ingest_svc/ports.py:Head"}
