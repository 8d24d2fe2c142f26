"""How long functions are and how dense lines are, in tokens of Python's own tokenizer."""

from __future__ import annotations

import ast
import io
import statistics
import tokenize
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Length(NamedTuple):
    """A function, `line` its first, and its tokens without layout, comments and docstring."""

    name: str
    line: int
    tokens: int


class Measure(NamedTuple):
    """Tokens per function, and per line that holds any."""

    median: float
    p90: float
    per_line: float


@cache
def parsed(source: str) -> ast.Module:
    """The tree of a module, made once: nobody may change it."""
    return ast.parse(source)


def lengths(source: str) -> list[Length]:
    """Of each function of a module, nested ones counted by themselves and within the outer one."""
    tree = parsed(source)
    return _lengths(tree, _without_documentation(tree, code_lines(source)))


def code_lines(source: str) -> list[int]:
    """The line of each token that is neither layout nor a comment."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [token.start[0] for token in tokens if token.type not in LAYOUT]


def measure(sources: Iterable[str]) -> Measure:
    """Of several modules together."""
    found: list[int] = []
    lines, tokens = 0, 0
    for source in sources:
        tree = parsed(source)
        code = _without_documentation(tree, code_lines(source))
        found += [each.tokens for each in _lengths(tree, code)]
        lines, tokens = lines + len(set(code)), tokens + len(code)
    return Measure(statistics.median(found), _p90(found), round(tokens / lines, 2))


def modules(root: Path, folders: Iterable[str]) -> list[Path]:
    """Every Python file of these folders, in order."""
    return [path for folder in folders for path in sorted((root / folder).rglob("*.py"))]


def _p90(values: list[int]) -> float:
    return sorted(values)[int(len(values) * 0.9)]


def _lengths(tree: ast.Module, code: list[int]) -> list[Length]:
    """`code` ascends, so a function's tokens are one run of it."""
    return [
        Length(
            node.name,
            node.lineno,
            bisect_right(code, node.end_lineno or 0) - bisect_left(code, node.lineno),
        )
        for node in ast.walk(tree)
        if isinstance(node, Function)
    ]


def _without_documentation(tree: ast.Module, code: list[int]) -> list[int]:
    """`code` without docstrings and strings below a constant, which are documentation too."""
    documented = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    return [line for line in code if line not in documented]
