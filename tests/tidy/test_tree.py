"""The tree keeps the style; what it does not keep yet only gets better."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.tidy import rules
from tests.tidy.literals import HOMES, Home
from tests.tidy.names import PROTOCOLS
from tests.tidy.product import BESIDE, PRODUCT, ROOT, texts
from tests.tidy.ratchet import recorded, today, worsened

ALL = (*PRODUCT, *BESIDE)
PLAIN_WORDS = (
    "twinstream/algebra/",
    "twinstream/audit/",
    "twinstream/define/",
    "twinstream/files/",
    "twinstream/nn/",
    "twinstream/protocol/",
    "ingest_svc/compiled/",
    "ingest_svc/json_scan.py",
)
"""Packages whose words are rewritten; one that joins them stays so."""


def test_nothing_is_kept_from_the_formatter() -> None:
    assert rules.skipped_formats(texts(*ALL)) == []


def test_the_tree_is_as_the_formatter_writes_it() -> None:
    command = [
        sys.executable,
        "-m",
        "ruff",
        "format",
        "--check",
        "--quiet",
        "--exclude",
        "*.md",
        ".",
    ]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def test_no_measure_is_worse_than_its_record() -> None:
    assert worsened(recorded(), today()) == []


def test_compiled_loops_name_the_columns_of_their_tables() -> None:
    loops = {path: text for path, text in texts().items() if "/compiled/" in path}
    assert len(loops) > 10
    assert rules.strayed(loops, r"\w\[.*, ?-?\d+\]", ()) == []


def test_what_is_rewritten_keeps_to_the_words_of_the_field() -> None:
    plain = {path: text for path, text in texts().items() if path.startswith(PLAIN_WORDS)}
    assert rules.house_words(plain) == []


def test_no_rule_has_two_homes() -> None:
    assert rules.repeated_rules(texts()) == []


@pytest.mark.parametrize("home", HOMES, ids=lambda home: home.what)
def test_a_literal_lies_in_its_home_alone(home: Home) -> None:
    assert rules.strayed(texts(), home.pattern, home.modules) == []


@pytest.mark.parametrize("home", HOMES, ids=lambda home: home.what)
def test_a_home_holds_what_it_is_the_home_of(home: Home) -> None:
    """A pattern that no longer fits its home guards nothing."""
    for path in home.modules:
        assert rules.strayed({path: texts()[path]}, home.pattern, ())


def test_only_names_that_are_shared_have_a_reason() -> None:
    assert [name for name in PROTOCOLS if name not in rules.shared_names(texts())] == []
