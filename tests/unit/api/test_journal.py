"""Answers' events outlive the process that gave the answers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predict_svc.api.journal import Entry, Journal, left_behind

KEY = b"late"


def found(folder: Path) -> Iterator[bytes]:
    """What is left behind and not sent; releases it."""
    for segment in left_behind(folder):
        yield from [entry.value for _, entry in segment.unsent()]
        segment.close()


def test_what_was_not_sent_is_left_for_the_next_process(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    sent = [journal.keep(Entry(KEY, value)) for value in (b"a", b"", b"c" * 1000)]
    assert list(found(tmp_path)) == []  # the journal holds it
    sent[1]()
    journal.close()
    assert list(found(tmp_path)) == [b"a", b"c" * 1000]


def test_what_was_sent_leaves_no_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=200)
    for sent in [journal.keep(Entry(KEY, bytes(100))) for _ in range(10)]:
        sent()
    assert len(list(tmp_path.iterdir())) == 1
    journal.close()
    assert list(tmp_path.iterdir()) == []


def test_an_answer_to_a_delivery_that_comes_after_the_end_is_passed_over(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    sent = journal.keep(Entry(KEY, b"a"))
    journal.close()
    sent()
    assert list(found(tmp_path)) == [b"a"]


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.integers(0, 300).map(bytes), min_size=20, max_size=40),
    delivered=st.lists(st.booleans(), min_size=40, max_size=40),
)
def test_all_that_was_kept_and_not_sent_is_found(
    tmp_path_factory: pytest.TempPathFactory, values: list[bytes], delivered: list[bool]
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    journal = Journal(folder, segment_bytes=512)
    for sent, yes in [
        (journal.keep(Entry(KEY, value)), yes)
        for value, yes in zip(values, delivered, strict=False)
    ]:
        if yes:
            sent()
    journal.close()
    unsent = [value for value, yes in zip(values, delivered, strict=False) if not yes]
    assert sorted(found(folder)) == sorted(unsent)


@pytest.mark.parametrize("cut", [0, 1, 15, 16, 20])
def test_an_entry_that_is_not_whole_is_none(tmp_path: Path, cut: int) -> None:
    journal = Journal(tmp_path)
    journal.keep(Entry(KEY, b"whole"))
    journal.keep(Entry(KEY, b"broken"))
    journal.close()
    path = next(tmp_path.iterdir())
    data = path.read_bytes()
    second = data.index(b"latebroken") - 16
    path.write_bytes(data[: second + cut])
    assert list(found(tmp_path)) == [b"whole"]


def test_an_entry_whose_bytes_changed_is_none(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for value in (b"whole", b"broken", b"good"):
        journal.keep(Entry(KEY, value))
    journal.close()
    path = next(tmp_path.iterdir())
    path.write_bytes(path.read_bytes().replace(b"broken", b"brokem"))
    assert list(found(tmp_path)) == [b"whole", b"good"]


@pytest.mark.parametrize("suffix", [".events", ".new"])
def test_a_file_that_was_never_filled_goes(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"begun{suffix}").touch()
    assert list(found(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=1 << 62)
    with pytest.raises(OSError, match=r"too large|No space"):
        journal.keep(Entry(KEY, b"a"))
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, sys
from pathlib import Path
from predict_svc.api.journal import Entry, Journal
journal = Journal(Path(sys.argv[1]))
for number in range(10**9):
    sent = journal.keep(Entry(b"late", b"%d" % number))
    if number % 3 == 0:
        sent()
    os.write(1, b"%d\\n" % number)
"""


def test_a_killed_process_leaves_all_that_it_had_said(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    said = [int(child.stdout.readline()) for _ in range(5000)]
    os.kill(child.pid, signal.SIGKILL)
    said += [int(line) for line in child.stdout if line.endswith("\n")]
    child.wait()
    left = {int(value) for value in found(tmp_path)}
    assert {number for number in said if number % 3} <= left
    assert left <= {
        number for number in range(said[-1] + 2) if number % 3 or number == said[-1] + 1
    }
