"""The rules of style that a program can check. Each takes modules by path and says what breaks it."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from tests.tidy.measure import Function, code_lines, parsed

Modules = Mapping[str, str]
"""Text by path."""
WIDEST = 100
LONGEST_DOCSTRING = 3
LONGEST_MODULE = 400
MOST_PARAMETERS = 6
HOUSE_WORDS = re.compile(
    r"(?<!there )\b(is|are) no (?!longer)|\bstands?\b(?! for)|\b(knobs?|anew|wish(es)?|parked)\b",
    re.IGNORECASE,
)
"""For these: is not a, must be a; lies, is, holds; setting; again; request; dead-lettered."""
SHORTEST_RULE = 40
"""Tokens from which on the same body in two modules is a rule that was written twice."""


def skipped_formats(modules: Modules) -> list[str]:
    """Comments that keep the formatter away."""
    return [
        f"{path}:{token.start[0]}"
        for path, text in modules.items()
        if "fmt:" in text
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT and re.search(r"fmt:\s*(skip|off)", token.string)
    ]


def wide_lines(modules: Modules) -> list[str]:
    """Lines over 100 columns."""
    return [
        f"{path}:{number}"
        for path, text in modules.items()
        for number, line in enumerate(text.splitlines(), 1)
        if len(line) > WIDEST
    ]


def long_docstrings(modules: Modules) -> list[str]:
    """Modules whose docstring has more than three lines."""
    return [
        path
        for path, text in modules.items()
        if len((ast.get_docstring(parsed(text)) or "").splitlines()) > LONGEST_DOCSTRING
    ]


def house_words(modules: Modules) -> list[str]:
    """Lines, comments and docstrings with them, that hold a word which the style replaces."""
    return [
        f"{path}:{number}: {found[0]}"
        for path, text in modules.items()
        for number, line in enumerate(text.splitlines(), 1)
        if (found := HOUSE_WORDS.search(line))
    ]


def long_modules(modules: Modules) -> list[str]:
    """Modules of more than 400 lines."""
    return [path for path, text in modules.items() if len(text.splitlines()) > LONGEST_MODULE]


def many_parameters(modules: Modules) -> list[str]:
    """Functions of more than six parameters: a type is missing."""
    return [
        f"{path}:{node.name}"
        for path, text in modules.items()
        for node in ast.walk(parsed(text))
        if isinstance(node, Function) and len(_parameters(node)) > MOST_PARAMETERS
    ]


def shared_names(modules: Modules) -> dict[str, list[str]]:
    """Public functions and classes whose name more than one module defines, with these modules."""
    homes: dict[str, list[str]] = defaultdict(list)
    for path, text in modules.items():
        for name in sorted(_public_names(parsed(text))):
            homes[name].append(path)
    return {name: paths for name, paths in sorted(homes.items()) if len(paths) > 1}


def strayed(modules: Modules, pattern: str, homes: Iterable[str]) -> list[str]:
    """Code outside `homes` that matches; comments and docstrings may say what they like."""
    return [
        f"{path}:{number}: {line}"
        for path, text in modules.items()
        if path not in set(homes) and re.search(pattern, text)
        for number, line in _code(text)
        if re.search(pattern, line)
    ]


def repeated_rules(modules: Modules) -> list[str]:
    """Bodies of 40 tokens or more that two modules share but for the names of their variables."""
    homes: dict[str, list[str]] = defaultdict(list)
    for path, text in modules.items():
        for node, body in _functions(parsed(text)):
            source = ast.unparse(ast.Module(body, []))
            if len(code_lines(source)) >= SHORTEST_RULE:
                homes[_normalised(node, ast.parse(source).body)].append(f"{path}:{node.name}")
    return [
        " = ".join(found)
        for found in homes.values()
        if len({each.partition(":")[0] for each in found}) > 1
    ]


def _public_names(tree: ast.Module) -> set[str]:
    return {
        node.name
        for node in tree.body
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")
    }


def _parameters(node: Function) -> list[str]:
    given = node.args
    named = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return [name for name in named if name not in {"self", "cls"}]


def _code(text: str) -> Iterator[tuple[int, str]]:
    """(line number, text) of the code: without comments, docstrings blank."""
    documented = {
        line
        for node in ast.walk(parsed(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    comments = {
        token.start
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    }
    ends = dict(comments)
    for number, line in enumerate(text.splitlines(), 1):
        if number not in documented:
            yield number, line[: ends.get(number)]


def _functions(tree: ast.Module) -> Iterator[tuple[Function, list[ast.stmt]]]:
    """Each with its body, the docstring left out."""
    for node in ast.walk(tree):
        if isinstance(node, Function):
            documented = ast.get_docstring(node) is not None
            yield node, node.body[documented:]


def _normalised(node: Function, body: list[ast.stmt]) -> str:
    """The body with its own variables numbered in the order in which they come."""
    own = {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)} | {
        each.id
        for each in ast.walk(node)
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    }
    return ast.dump(_Numbering(own).visit(ast.Module(body, [])))


class _Numbering(ast.NodeTransformer):
    def __init__(self, own: set[str]) -> None:
        self._own = own
        self._numbers: dict[str, str] = {}

    def visit_Name(self, node: ast.Name) -> ast.Name:
        """A variable of the function by its number, any other name as it is."""
        if node.id in self._own:
            node.id = self._numbers.setdefault(node.id, f"v{len(self._numbers)}")
        return node
