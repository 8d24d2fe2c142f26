"""Logs stay bounded under a process that writes, and its last words are found in them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import logs
from tests.unit.test_supervisor import wait_for

NOISE = "import itertools\nfor n in itertools.count(): print(f'line {n}', flush=True)"
LIMIT = 200_000


@pytest.fixture
def noisy(tmp_path: Path) -> Iterator[Path]:
    """The log of a process that never stops writing."""
    log = tmp_path / "noisy.log"
    with log.open("ab") as file:
        process = subprocess.Popen([sys.executable, "-I", "-S", "-c", NOISE], stdout=file)
    yield log
    process.kill()
    process.wait()


def test_a_log_begins_anew_under_the_process_that_writes_it(noisy: Path) -> None:
    for _ in range(3):
        wait_for(lambda: logs.bound(noisy, LIMIT))
    older = noisy.with_suffix(".log.1")
    assert older.stat().st_mode & 0o077 == 0
    assert older.stat().st_size > LIMIT
    wait_for(lambda: logs.size_of(noisy) > 0)
    assert b"\0" not in noisy.read_bytes()
    assert sorted(path.name for path in noisy.parent.iterdir()) == [noisy.name, older.name]


def test_a_short_log_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("said")
    assert not logs.bound(log)
    assert not logs.bound(tmp_path / "none.log")
    assert log.read_text() == "said"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ""),
        ("one\n\n", "one"),
        (
            'Traceback (most recent call last):\n  File "a.py", line 1\nValueError: no\n',
            "ValueError: no",
        ),
        (
            (
                "Exception in thread main\n\tat a.b(C.java:1)\nCaused by: "
                "java.net.BindException: in use\n\t... 10 more\n"
            ),
            "Exception in thread main | Caused by: java.net.BindException: in use",
        ),
        ('{"event": "mesh_failed", "reason": "no room"}\n', "mesh_failed: no room"),
        ('{"event": "a", "exception": "Traceback\\n  File x\\nKeyError: 1"}\n', "a: KeyError: 1"),
        ("same\nsame\nsame\nother\n", "same | other"),
        ("[1]\n", "[1]"),
    ],
)
def test_the_last_words_say_what_and_not_where(text: str, said: str, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("of an earlier run\n" + text)
    assert logs.last_words(log, begin=len("of an earlier run\n")) == said


def test_last_words_are_short_and_whole_text(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"\xff" * 100_000 + b"\nthe end")
    assert logs.last_words(log).endswith("the end")
    assert len(logs.last_words(log)) <= logs.LONGEST_WORDS
