"""No argument of any command ends in a stack trace: always words, and an exit code that is
documented.
"""

from __future__ import annotations

import io
import os
import random
import sys
from pathlib import Path

import pytest
import typer

from twinstream.cli.main import EPILOG, app, run

DOCUMENTED = {0, 1, 2, 3, 4, 130, 141}
STARTS_PROCESSES = {"up", "demo", "doctor"}
ODD = [
    "",
    "-",
    "--",
    "-1",
    "nan",
    "inf",
    "-inf",
    "1e309",
    "1e-400",
    "9" * 400,
    "²",
    "--5",
    "٣",
    "0x10",
    "{}",
    "[",
    "[" * 5000,
    '{"a":1e400}',
    "null",
    "\x1b[31m",
    "[bold]x[/",
    "[/]",
    "\udcff",
    "a" * 5000,
    "..",
    "/",
    "/dev/null",
    "/proc/self/mem",
    "s3://",
    "s3://b/k",
    "s3://a b/x",
    "http://x",
    "ingest/0/1",
    "ingest/0/-1",
    "ingest/²/1",
    "a/b/c/d",
    "%s",
    "$HOME",
    "*",
    "\n",
    "--help",
    "--json",
    "2013-13-45",
    "10000-01-01",
]


def commands() -> list[list[str]]:
    """Every command's words, groups' commands included."""
    root = typer.main.get_command(app)
    return [
        [name, *([inner] if inner else [])]
        for name, command in root.commands.items()  # type: ignore[attr-defined]
        for inner in getattr(command, "commands", {"": None})
    ]


def options_of(words: list[str]) -> list[str]:
    command = typer.main.get_command(app)
    for word in words:
        command = command.commands[word]  # type: ignore[attr-defined]
    return [name for parameter in command.params for name in parameter.opts if name.startswith("-")]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("TWINSTREAM_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "words", [w for w in commands() if w[0] not in STARTS_PROCESSES], ids=" ".join
)
def test_odd_arguments_end_in_words(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dice, options = random.Random(" ".join(words)), options_of(words)
    for _ in range(60):
        arguments = [dice.choice([*ODD, *options]) for _ in range(dice.randint(0, 5))]
        data = dice.choice(
            [str(tmp_path), str(tmp_path / "none"), "/proc/self/none", "/dev/null", "\udcff"]
        )
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(dice.randbytes(40))))
        code = run([*words, *arguments, "--data", data])
        said = capsys.readouterr()
        assert code in DOCUMENTED, arguments
        for text in (said.out, said.err):
            assert "Traceback" not in text, arguments
            assert "a fault of this command" not in text, (arguments, said.err)


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_a_number_that_is_not_finite_is_refused(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for option in {"--timeout", "--seconds", "--max-staleness-ms"} & set(options_of(words)):
        for value in ("nan", "inf", "-inf"):
            assert (
                run(
                    [
                        *words,
                        *(["x", "y"] if words[0] in {"publish", "predict"} else []),
                        f"{option}={value}",
                    ]
                )
                == 2
            ), (option, value)
            assert "Traceback" not in capsys.readouterr().err


def test_every_exit_code_is_documented() -> None:
    assert all(str(code) in EPILOG for code in DOCUMENTED)
