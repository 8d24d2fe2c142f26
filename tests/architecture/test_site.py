"""The documentation site builds without a broken link, and asks nobody else when it is read."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.reference.declared import ROOT

DECISIONS = ROOT / "docs" / "adr" / "README.md"
LOADED = re.compile(
    r"<(?:script|img|iframe|source)[^>]*\ssrc=\"([^\"]+)\"|<link[^>]*href=\"([^\"]+)\""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    asked = {
        link
        for page in site.rglob("*.html")
        for found in LOADED.findall(page.read_text())
        for link in found
        if re.match(r"(https?:)?//", link)
    }
    assert asked == set()


def test_every_document_has_a_page(site: Path) -> None:
    missing = [
        path.name
        for path in (ROOT / "docs").rglob("*.md")
        if path.name != "README.md"
        and not (site / path.relative_to(ROOT / "docs")).with_suffix(".html").exists()
    ]
    assert missing == []


def test_every_document_is_in_the_navigation() -> None:
    """The decisions are listed on a page of their own."""
    navigation = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2]
    listed = set(re.findall(r"[\w./-]+\.md", navigation))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    decisions = {page for page in pages if re.match(r"adr/\d", page)}
    assert pages - decisions - listed == set()
    assert {page for page in decisions if f"({page[4:]}" not in DECISIONS.read_text()} == set()


def test_what_lies_outside_the_documents_is_in_the_site(site: Path) -> None:
    page = (site / "guide.html").read_text()
    assert 'href="tree/examples/shop/pipeline.py.html"' in page
    assert "by_shopper" in (site / "tree/examples/shop/pipeline.py.html").read_text()
