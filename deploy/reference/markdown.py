"""Markdown of a reference page: headings and tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

NOTE = "<!-- Written by `make reference` from the code; do not edit. -->"
_CODE = re.compile(r"(`[^`]*`)")


def page(title: str, *parts: str) -> str:
    """A whole page."""
    return "\n\n".join([NOTE, f"# {title}", *(part.strip() for part in parts if part)]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are prose with code in backticks."""
    lines = [_line(head), _line(["---"] * len(head))]
    lines += [_line([cell(text) for text in row]) for row in rows]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    filled = [f"| {text} " if text else "| " for text in cells]
    return "".join(filled) + "|"


def cell(text: str) -> str:
    """Text on one line, without what ends a cell or begins a tag."""
    parts = _CODE.split(" ".join(text.split()))
    parts[::2] = [part.replace("<", "&lt;") for part in parts[::2]]
    return "".join(parts).replace("|", "\\|")


def code(text: str) -> str:
    """Text in backticks; "" stays."""
    return f"`{text}`" if text else ""


def sentence(text: str) -> str:
    """The text with an upper-case beginning, unless it begins with code, and a stop at its end."""
    text = " ".join(text.split())
    return (text[:1].upper() + text[1:]).rstrip(".") + "." if text else ""
