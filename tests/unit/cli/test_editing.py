"""A user's editor: what it writes is sent, nothing is sent when it fails or changes nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from twinstream.cli.editing import edited, editor, written
from twinstream.errors import MeshError, SettingsError


def typing(tmp_path: Path, code: str) -> list[str]:
    """An editor that does `code` to the bytes `b` of its file."""
    script = tmp_path / "an editor.py"
    lines = ["import sys, pathlib", "f = pathlib.Path(sys.argv[1])", "b = f.read_bytes()", code]
    script.write_text("\n".join(lines))
    return [sys.executable, str(script)]


def test_what_the_editor_wrote_is_sent_without_the_line_end_that_it_added(tmp_path: Path) -> None:
    file = written("ingest-0-7-", b'{"a": \xff')
    assert file.stat().st_mode & 0o777 == 0o600
    assert edited(file, typing(tmp_path, "f.write_bytes(b + b'1}\\n')")) == b'{"a": \xff1}'
    file.unlink()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("f.write_bytes(b + b'\\n')", "nothing was changed"),
        ("f.write_bytes(b'{}'); sys.exit(3)", "ended with 3"),
    ],
)
def test_nothing_is_sent_that_was_not_meant(tmp_path: Path, code: str, said: str) -> None:
    file = written("x-", b"\x00{")
    with pytest.raises(MeshError, match=said):
        edited(file, typing(tmp_path, code))
    file.unlink()


def test_the_editor_is_the_one_that_the_user_names(tmp_path: Path) -> None:
    assert editor({"VISUAL": "code --wait", "EDITOR": "vi"}) == ["code", "--wait"]
    assert editor({"VISUAL": " ", "EDITOR": "'my vi'"}) == ["my vi"]
    for env in ({}, {"EDITOR": ""}, {"EDITOR": "'vi"}):
        with pytest.raises(SettingsError, match="EDITOR"):
            editor(env)
    with pytest.raises(SettingsError, match="does not start"):
        edited(tmp_path / "an editor.py", [str(tmp_path / "gone")]) if typing(tmp_path, "") else 0
