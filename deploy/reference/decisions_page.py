"""docs/adr/README.md: the decisions that are recorded, in their order."""

from __future__ import annotations

from pathlib import Path

from deploy.reference.declared import ROOT
from deploy.reference.markdown import page, table

FOLDER = ROOT / "docs" / "adr"
INTRODUCTION = """
One page for each choice that is hard to undo: context, decision, what was rejected, consequence.
"""


def written() -> str:
    """The page."""
    rows = [_row(path) for path in sorted(FOLDER.glob("[0-9]*.md"))]
    return page("Decisions", INTRODUCTION, table(("", "decision"), rows))


def _row(path: Path) -> tuple[str, str]:
    number, _, title = path.read_text().partition("\n")[0].removeprefix("# ").partition(". ")
    return number, f"[{title}]({path.name})"
