"""What a class says of its fields in its source: types, defaults, and the docstring below each."""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "schemas",
    "twinstream",
    "ingest_svc",
    "preprocess_svc",
    "train_svc",
    "predict_svc",
    "monitor_svc",
    "deploy",
)


class Field(NamedTuple):
    """`default` is "" for a field that must be given, else what the source says."""

    name: str
    type: str
    default: str
    what: str


def fields_of(kind: type) -> list[Field]:
    """The fields that a class itself declares, class variables left out."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(tree, ast.ClassDef)
    following = [*tree.body[1:], None]
    return [
        _field(node, after)
        for node, after in zip(tree.body, following, strict=True)
        if isinstance(node, ast.AnnAssign) and "ClassVar" not in ast.unparse(node.annotation)
    ]


def all_fields_of(kind: type) -> list[Field]:
    """Those of the bases first."""
    bases = [base for base in reversed(kind.__mro__) if hasattr(base, "__struct_fields__")]
    return [field for base in bases if _has_source(base) for field in fields_of(base)]


def said(node: ast.ClassDef | ast.FunctionDef | ast.Module) -> str:
    """The docstring's first paragraph, on one line."""
    return " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())


def first_paragraph(kind: object) -> str:
    """The docstring's first paragraph, on one line."""
    return " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split())


@cache
def modules() -> dict[Path, ast.Module]:
    """The tree of every module of ours, by its path from the root."""
    paths = (path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py")))
    return {path.relative_to(ROOT): ast.parse(path.read_text()) for path in paths}


def _has_source(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in PACKAGES


def _field(node: ast.AnnAssign, after: ast.stmt | None) -> Field:
    assert isinstance(node.target, ast.Name)
    default = ast.unparse(node.value) if node.value is not None else ""
    return Field(
        node.target.id, ast.unparse(_Plain().visit(node.annotation)), default, _docstring(after)
    )


class _Plain(ast.NodeTransformer):
    """A type without the bounds that `Annotated` adds."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if ast.unparse(node.value) == "Annotated" and isinstance(node.slice, ast.Tuple):
            return node.slice.elts[0]
        return self.generic_visit(node)


def _docstring(node: ast.stmt | None) -> str:
    match node:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return " ".join(text.split())
    return ""
