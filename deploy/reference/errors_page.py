"""docs/reference/errors.md: every error type of ours, with its kind."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from typing import NamedTuple

from deploy.reference.declared import modules, said
from deploy.reference.markdown import code, page, sentence, table

HEAD = ("error", "where", "is a", "means")
ROOTS = (
    "TransientError",
    "PermanentError",
    "RequestError",
    "MeshError",
    "RuntimeError",
    "Exception",
)
"""The first of these among an error's bases decides what is done with it."""
SECTIONS = {
    "TransientError": (
        "Transient",
        "An engine does not answer now. It is tried again, with a bound and a backoff.",
    ),
    "PermanentError": (
        "Permanent",
        (
            "This input is wrong and stays so. Its original bytes become a dead letter with place "
            "and reason, and work goes on with the next input; a command ends with it."
        ),
    ),
    "RequestError": (
        "Of a prediction request",
        "Answered as a [`Problem`](http.md#problem) with the status in [HTTP](http.md#predict).",
    ),
    "MeshError": (
        "Other errors of the mesh",
        (
            "Handled where they are raised, or by the run loop as a bug: the same input is tried "
            "three times over restarts, then it becomes a dead letter of kind `bug`."
        ),
    ),
    "RuntimeError": (
        "Mistakes in our own code",
        "Nobody catches them, so the run loop treats them as a bug wherever they are raised.",
    ),
    "Exception": ("Inside one module", "Never leaves the module that raises it."),
}
INTRODUCTION = """
A message says what, where (topic, partition, offset, file, row) and what to do. The kind
decides what the run loop does with an error; what is none of ours is a bug. With which status a
command or a process ends: [exit codes](exit-codes.md).
"""


class Listed(NamedTuple):
    """One class; `root` is the entry of ROOTS that it falls under."""

    name: str
    module: str
    bases: tuple[str, ...]
    what: str
    root: str = ""


def found() -> list[Listed]:
    """Every error class of our modules."""
    declared = {error.name: error for error in _classes()}
    ours = [error for error in declared.values() if _is_error(error, declared)]
    return [error._replace(root=_root(error, declared)) for error in ours]


def written() -> str:
    """The page."""
    errors = sorted(found())
    parts: list[str] = []
    for root, (title, meaning) in SECTIONS.items():
        rows = [_row(error) for error in errors if error.root == root]
        parts += [f"## {title}", meaning, table(HEAD, rows)]
    return page("Errors", INTRODUCTION, *parts)


def _classes() -> Iterator[Listed]:
    for path, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                bases = tuple(ast.unparse(base) for base in node.bases)
                yield Listed(node.name, path.as_posix(), bases, said(node))


def _is_error(error: Listed, declared: dict[str, Listed]) -> bool:
    return any(
        _is_error(declared[base], declared) if base in declared else _is_builtin_error(base)
        for base in error.bases
    )


def _is_builtin_error(name: str) -> bool:
    kind = getattr(builtins, name, None)
    return isinstance(kind, type) and issubclass(kind, BaseException)


def _root(error: Listed, declared: dict[str, Listed]) -> str:
    above = set(_above(error, declared)) | {"Exception"}
    return next(root for root in ROOTS if root in above)


def _above(error: Listed, declared: dict[str, Listed]) -> Iterator[str]:
    yield error.name
    for base in error.bases:
        yield base
        if base in declared:
            yield from _above(declared[base], declared)


def _row(error: Listed) -> tuple[str, ...]:
    bases = ", ".join(code(base) for base in error.bases)
    return code(error.name), code(error.module), bases, sentence(error.what)
