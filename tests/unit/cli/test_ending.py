"""How commands end: Ctrl-C within a second whatever they wait in, quietly when nobody reads
them.
"""

from __future__ import annotations

import signal
import subprocess
import sys

import msgspec
import pytest

from twinstream.cli import ask
from twinstream.errors import MeshError, NotRunningError, SettingsError

DEAF = """
import hashlib, signal
from twinstream.cli import ending
signal.signal(signal.SIGINT, lambda *_: None)
ending.promptly("audit")
print("begun", flush=True)
hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # one call of a library, which hears no signal
"""


def test_ctrl_c_ends_a_command_that_waits_in_a_library() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", DEAF], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == b""


@pytest.mark.parametrize(
    "arguments", [["topics"], ["topics", "--json"], ["status", "--json", "--data", "/nowhere"]]
)
def test_who_is_not_read_ends_quietly(arguments: list[str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "twinstream.cli.main", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode in {0, 141}
    assert b"Traceback" not in said
    assert b"Exception" not in said


def test_a_questions_rows_go_out_as_they_are_written() -> None:
    rows = ask._rows('{"x": 2.66500000000000000001}')
    assert msgspec.json.encode({"rows": rows}) == b'{"rows":[{"x": 2.66500000000000000001}]}'
    assert msgspec.json.encode(ask._rows(" [1, 2]")).strip() == b"[1, 2]"


@pytest.mark.parametrize("text", ["", "{", b"\xff", "\udcff", "{'a': 1}", "NaN"])
def test_rows_that_are_no_json_are_refused(text: str | bytes) -> None:
    with pytest.raises(SettingsError, match="not JSON"):
        ask._rows(text)


def test_an_address_where_nothing_answers_is_named() -> None:
    with pytest.raises(NotRunningError, match="nothing answers"):
        ask.post("http://127.0.0.1:9/v1/predict/x", {}, 5.0)
    with pytest.raises(MeshError):
        ask.post("http://127.0.0.1:9/v1/pre dict/x", {}, 5.0)
