"""What our documents name exists: links, headings, commands, options, settings, verbs, files."""

from __future__ import annotations

import importlib.util
import re
import shlex
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from deploy.reference import commands_page, settings_page
from deploy.reference.declared import ROOT
from twinstream.mesh.metric_catalogue import BY_PROCESS

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
SPAN = re.compile(r"`([^`\n]+)`")
SOURCES = re.compile(r"[\w.-]+(/[\w.-]+)*\.(py|md|json|js|toml|java|sha256)")
OURS = re.compile(r"(ingest|batch|speed|view|predict|train|monitor|mesh|http)_\w+_(total|ms)")
PLACEHOLDER = re.compile(r"[A-Z]+")
HISTORY = "CHANGELOG.md"
"""It may name what is gone."""
BESIDE_THE_TREE = {"_score.json", "config.json", "metrics.json", "run/mesh.json", "mesh.json"}
DATA_FOLDER = "DATA/"
"""Files of a model, and of a mesh's data folder."""


class Named(NamedTuple):
    """A line of a shell block, or a code span."""

    document: str
    text: str


def documents() -> list[Path]:
    """All Markdown that people read, but what tests keep beside them."""
    folders = ("docs", "benchmarks", *(path.name for path in ROOT.glob("*_svc")))
    inner = [path for name in folders for path in sorted((ROOT / name).rglob("*.md"))]
    return [*sorted(ROOT.glob("*.md")), *inner]


def name_of(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


DOCUMENTS = {name_of(path): path for path in documents()}
LIVING = [name for name in DOCUMENTS if name != HISTORY]


@cache
def text_of(name: str) -> str:
    return DOCUMENTS[name].read_text()


@cache
def prose_of(name: str) -> str:
    return FENCE.sub("", text_of(name))


def spans(name: str) -> list[str]:
    return SPAN.findall(prose_of(name))


def shell_lines(name: str) -> list[str]:
    blocks = [body for language, body in FENCE.findall(text_of(name)) if language in {"sh", "bash"}]
    return [line for body in blocks for line in body.replace("\\\n", " ").splitlines()]


@cache
def headings(path: Path) -> frozenset[str]:
    """The anchors that GitHub and our site make of a document's headings."""
    lines = re.findall(r"^#+ (.+)$", FENCE.sub("", path.read_text()), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", line.lower()).strip().replace(" ", "-") for line in lines]
    return frozenset(plain)


def broken(document: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    found = (document.parent / path).resolve() if path else document
    if not found.exists():
        return True
    return bool(anchor) and found.suffix == ".md" and anchor not in headings(found)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name: str) -> None:
    targets = [t for t in LINK.findall(prose_of(name)) if not t.startswith("https://")]
    assert [t for t in targets if broken(DOCUMENTS[name], t)] == []


@pytest.fixture(scope="module")
def commands() -> dict[str, set[str]]:
    found = commands_page.commands().items()
    return {name: commands_page.options_of(command) for name, command in found}


def calls_in(text: str) -> list[list[str]]:
    """The words of each `twinstream` command in a line, its comment left out."""
    parts = re.split(r"\s(?:\\?\||&&|;|#)\s", f" {text} ")
    words = [
        shlex.split(part.split(" # ")[0], posix=True) for part in parts if "twinstream" in part
    ]
    return [
        w[w.index("twinstream") + 1 :] for w in words if "twinstream" in w and "import" not in w
    ]


def wrong_call(words: list[str], commands: dict[str, set[str]]) -> bool:
    """Whether no such command, or no such option of it, exists; a placeholder may be anything."""
    plain = [word for word in words if not word.startswith("-")][:2]
    if not plain or PLACEHOLDER.fullmatch(plain[0]):
        return False
    known = [" ".join(["twinstream", *plain[:n]]) for n in (2, 1)]
    command = next((name for name in known if name in commands), None)
    group = any(name.startswith(f"twinstream {plain[0]} ") for name in commands)
    if command is None:
        return not (group and len(plain) == 1)
    given = {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"}
    return not given <= commands[command]


@pytest.mark.parametrize("name", LIVING)
def test_every_command_exists_with_its_options(name: str, commands: dict[str, set[str]]) -> None:
    lines = [*shell_lines(name), *(s for s in spans(name) if re.search(r"\btwinstream [a-z]", s))]
    found = [words for line in lines if "twinstream" in line for words in calls_in(line)]
    assert [words for words in found if wrong_call(words, commands)] == []


def test_a_command_that_does_not_exist_is_found(commands: dict[str, set[str]]) -> None:
    assert wrong_call(["publsh", "orders"], commands)
    assert wrong_call(["up", "--pipelin", "x"], commands)
    assert wrong_call(["dead-letters", "lst"], commands)
    assert not wrong_call(["dead-letters", "list", "--kind", "bug"], commands)


@pytest.mark.parametrize("name", LIVING)
def test_every_setting_that_is_named_exists(name: str) -> None:
    page = text_of("docs/reference/settings.md")
    prefixes = [kind.PREFIX for kind in settings_page.services()]
    named = set(re.findall(r"TWINSTREAM_[A-Z0-9_]*[A-Z0-9](?![\w*<])", text_of(name)))
    named = {n for n in named if f"{n}_" not in prefixes}
    assert [n for n in sorted(named) if f"`{n}`" not in page] == []


@pytest.mark.parametrize("name", LIVING)
def test_every_verb_of_make_exists(name: str) -> None:
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    lines = [*shell_lines(name), *spans(name)]
    named = {verb for line in lines for verb in re.findall(r"(?:^|&& )make ([a-z-]+)", line)}
    assert named <= verbs


@pytest.mark.parametrize("name", LIVING)
def test_every_module_that_is_run_exists(name: str) -> None:
    named = set(re.findall(r"python -m ([\w.]+)", text_of(name)))
    assert [module for module in sorted(named) if importlib.util.find_spec(module) is None] == []


@cache
def files() -> str:
    """Every path of the tree, each after a slash."""
    kept = (p for p in ROOT.rglob("*") if p.suffix and not set(p.parts) & {".venv", ".git", "site"})
    return "\n".join(f"/{path.relative_to(ROOT).as_posix()}" for path in kept) + "\n"


@pytest.mark.parametrize("name", LIVING)
def test_every_file_that_is_named_exists(name: str) -> None:
    named = {span for span in spans(name) if SOURCES.fullmatch(span)} - BESIDE_THE_TREE
    named = {path for path in named if not path.startswith(DATA_FOLDER)}
    assert [path for path in sorted(named) if f"/{path}\n" not in files()] == []


@pytest.mark.parametrize("name", LIVING)
def test_every_metric_that_is_named_exists(name: str) -> None:
    known = {metric.name for metrics in BY_PROCESS.values() for metric in metrics}
    assert {span for span in spans(name) if OURS.fullmatch(span)} <= known
