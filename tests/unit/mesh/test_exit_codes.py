"""Exit codes are documented, and one error has one code in every process."""

from __future__ import annotations

import re
from pathlib import Path

from twinstream.cli.main import EPILOG
from twinstream.errors import (
    DefinitionError,
    NotRunningError,
    PublishError,
    SettingsError,
    WaitTimeoutError,
)
from twinstream.mesh import exit_codes as codes

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs" / "reference" / "exit-codes.md"


def test_the_reference_lists_each_code_with_its_meaning() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*?) \|", REFERENCE.read_text(), re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == codes.MEANINGS


def test_the_commands_help_lists_the_codes_of_commands() -> None:
    told = {int(code) for code in re.findall(r"\d+", EPILOG)}
    assert told == set(codes.MEANINGS) - {codes.WORKER_FAILED}


def test_an_error_has_one_code() -> None:
    assert codes.exit_code(SettingsError("x")) == codes.USAGE
    assert codes.exit_code(DefinitionError("x", "y")) == codes.USAGE
    assert codes.exit_code(NotRunningError("x")) == codes.NOT_RUNNING
    assert codes.exit_code(WaitTimeoutError("x")) == codes.TIMEOUT
    assert codes.exit_code(PublishError("x")) == codes.FAILED
