"""What commands print: JSON for scripts on standard output, tables and words for people."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

Line = TypeVar("Line")


class _Output(Console):
    """Leaves it to the command's end that nobody reads it any more."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, "nobody reads standard output")


out = _Output(highlight=False) if sys.stdout.isatty() else _Output(highlight=False, width=160)
notes = Console(stderr=True, highlight=False)


def as_json(value: object) -> None:
    """One JSON document on standard output, indented on a terminal."""
    value = msgspec.to_builtins(value, str_keys=True)
    data = (
        msgspec.json.format(msgspec.json.encode(value))
        if sys.stdout.isatty()
        else msgspec.json.encode(value, order="deterministic")
    )
    sys.stdout.write(data.decode() + "\n")
    sys.stdout.flush()


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    title: str | None = None,
) -> Table:
    """A plain table; None becomes an empty cell."""
    made = Table(
        *columns, title=title, box=None, header_style="bold", title_justify="left", pad_edge=False
    )
    for row in rows:
        made.add_row(*("" if cell is None else str(cell) for cell in row))
    return made


def print_rows(
    lines: Iterable[Line],
    columns: Sequence[str],
    cells: Callable[[Line], Sequence[object]],
    *,
    json: bool,
) -> None:
    """A table, or a JSON document a line."""
    if not json:
        out.print(table(columns, map(cells, lines)))
        return
    for line in lines:
        as_json(line)


def utc_second(at_us: int) -> str:
    """A time for people, in UTC."""
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")


def note(text: str) -> None:
    """A line for people, beside what a script reads."""
    notes.print(text, soft_wrap=True)


def shown(text: str) -> str:
    """Text of unknown origin: no markup, and what a terminal would act on is spelled out.
    Line ends and tabs stay.
    """
    safe = "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text
    )
    return escape(safe)
