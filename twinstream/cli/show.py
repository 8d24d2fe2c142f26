"""What commands print: JSON for scripts on standard output, tables and words for people."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import msgspec
from rich.console import Console
from rich.table import Table

out = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=160)
notes = Console(stderr=True, highlight=False)


def as_json(value: object) -> None:
    """One JSON document on standard output, indented on a terminal."""
    value = msgspec.to_builtins(value, str_keys=True)
    data = msgspec.json.format(msgspec.json.encode(value)) if sys.stdout.isatty() else msgspec.json.encode(value, order="deterministic")
    sys.stdout.write(data.decode() + "\n")
    sys.stdout.flush()


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> Table:
    """A plain table; None becomes an empty cell."""
    made = Table(*columns, title=title, box=None, header_style="bold", title_justify="left", pad_edge=False)
    for row in rows:
        made.add_row(*("" if cell is None else str(cell) for cell in row))
    return made


def note(text: str) -> None:
    """A line for people, beside what a script reads."""
    notes.print(text, soft_wrap=True)
