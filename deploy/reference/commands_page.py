"""docs/reference/commands.md: every command with its arguments and options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer.main

from deploy.reference.markdown import code, page, sentence, table
from twinstream.cli.main import app

HEAD = ("argument or option", "default", "what")
INTRODUCTION = """
`twinstream COMMAND --help` says the same. How a command ends: [exit codes](exit-codes.md).
"""
_MARKUP = re.compile(r"\[/?[a-z ]*\]")


def commands() -> dict[str, Any]:
    """Every command that can be called, by what is typed."""
    return dict(_below("twinstream", typer.main.get_command(app)))


def written() -> str:
    """The page."""
    parts = [part for name, command in commands().items() for part in _section(name, command)]
    return page("Commands", INTRODUCTION, *parts)


def options_of(command: Any) -> set[str]:
    """What may begin an option of a command."""
    return {name for p in command.params for name in (*p.opts, *p.secondary_opts)} | {"--help"}


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
        return
    for word, sub in inner.items():
        yield from _below(f"{name} {word}", sub)


def _section(name: str, command: Any) -> Iterator[str]:
    yield f"## {name}"
    yield _plain(command.help or "")
    rows = [_row(parameter) for parameter in command.params]
    yield table(HEAD, rows) if rows else ""


def _row(parameter: Any) -> tuple[str, ...]:
    names = [*parameter.opts, *parameter.secondary_opts]
    if parameter.param_type_name == "argument":
        names = [parameter.metavar or parameter.name.upper()]
    what = sentence(_plain(getattr(parameter, "help", "") or ""))
    return ", ".join(map(code, names)), code(_default(parameter)), what


def _default(parameter: Any) -> str:
    value = parameter.default
    if value is None or value is False or value == "" or callable(value):
        return ""
    return "on" if value is True else str(value)


def _plain(text: str) -> str:
    return " ".join(_MARKUP.sub("", text.replace("\\[", "[")).split())
