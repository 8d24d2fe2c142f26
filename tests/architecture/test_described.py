"""The glossary and the picture of the architecture name what is in the code."""

from __future__ import annotations

import ast
import re

import pytest

from deploy.local.services import MODULES
from deploy.reference.declared import ROOT, modules
from schemas.events import EVENT_TYPES

GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \| `([^`]+)` \|$", re.MULTILINE)
STEP = re.compile(r"^\| (\d+) \| ([\w-]+) \| `([^`]+)` `([\w.]+)` \|", re.MULTILINE)
PROCESS = re.compile(r"^\| `([\w-]+)` \| `python -m ([\w.]+)` \|", re.MULTILINE)


def names_in(tree: ast.Module) -> set[str]:
    """Functions and classes, methods as `Class.method`."""
    found = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            inner = (
                n.name for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
            )
            found |= {f"{node.name}.{name}" for name in inner}
    return found


def test_the_glossary_is_sorted_and_has_each_word_once() -> None:
    words = [word for word, _, _ in ROW.findall(GLOSSARY)]
    assert len(words) > 30
    assert words == sorted(set(words))


@pytest.mark.parametrize(("word", "meaning", "home"), ROW.findall(GLOSSARY))
def test_a_word_of_the_glossary_is_used_where_it_is_at_home(
    word: str, meaning: str, home: str
) -> None:
    assert re.search(rf"\b_?{word.replace(' ', '[ _-]')}", (ROOT / home).read_text(), re.IGNORECASE)
    assert meaning.endswith("."), "one sentence"


def test_every_word_of_the_house_is_in_the_glossary() -> None:
    words = {word for word, _, _ in ROW.findall(GLOSSARY)}
    ours = {"barrier", "pack", "partial", "epoch", "cut", "base", "release", "spine", "tile"}
    ours |= {"lift", "merge", "answer", "oracle", "known_us", "position", "seam", "door", "lane"}
    assert ours | {"dead letter"} <= words


@pytest.mark.parametrize(("number", "process", "path", "name"), STEP.findall(ARCHITECTURE))
def test_a_step_of_the_way_is_in_the_code(number: str, process: str, path: str, name: str) -> None:
    trees = {known.as_posix(): tree for known, tree in modules().items()}
    assert name in names_in(trees[path]), f"step {number}"
    assert process in MODULES or process == "client"


def test_the_steps_of_each_way_are_counted_without_a_hole() -> None:
    numbers = [int(number) for number, *_ in STEP.findall(ARCHITECTURE)]
    second = numbers.index(1, 1)
    assert numbers[:second] == list(range(1, second + 1))
    assert numbers[second:] == list(range(1, len(numbers) - second + 1))
    assert f"{WORDS[second]} steps" in ARCHITECTURE


WORDS = {18: "eighteen", 19: "nineteen", 20: "twenty", 21: "twenty-one", 22: "twenty-two"}


def test_the_picture_has_every_step_of_the_record() -> None:
    picture = ARCHITECTURE.partition("```")[2].partition("```")[0]
    numbers = [int(n) for n in re.findall(r"(?:^|\s)(\d+) [a-z]", picture)]
    count = [int(number) for number, *_ in STEP.findall(ARCHITECTURE)].index(1, 1)
    assert numbers == list(range(1, count + 1))


def test_every_process_is_described() -> None:
    assert dict(PROCESS.findall(ARCHITECTURE)) == MODULES


def test_every_event_that_the_architecture_names_exists() -> None:
    named = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)`", ARCHITECTURE))
    known = set(EVENT_TYPES) | {name for tree in modules().values() for name in names_in(tree)}
    assert named <= known
