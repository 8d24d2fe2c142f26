"""Which pages are made from the code."""

from __future__ import annotations

from pathlib import Path

from deploy.reference import (
    commands_page,
    decisions_page,
    errors_page,
    events_page,
    http_page,
    metrics_page,
    settings_page,
)
from deploy.reference.declared import ROOT

FOLDER = ROOT / "docs" / "reference"
PAGES = {
    "../adr/README.md": decisions_page.written,
    "commands.md": commands_page.written,
    "errors.md": errors_page.written,
    "events.md": events_page.written,
    "http.md": http_page.written,
    "metrics.md": metrics_page.written,
    "settings.md": settings_page.written,
}


def written() -> dict[Path, str]:
    """The text of every page."""
    return {(FOLDER / name).resolve(): text() for name, text in PAGES.items()}
