"""Lets a user correct an original in the editor of their choice."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from twinstream.errors import MeshError, SettingsError

EDITORS = ("VISUAL", "EDITOR")


def editor(env: Mapping[str, str]) -> list[str]:
    """The user's editor as a command; raises SettingsError when none is named."""
    try:
        words = _named(env)
    except ValueError as error:
        raise SettingsError(f"EDITOR cannot be read as a command: {error}") from error
    if not words:
        raise SettingsError("EDITOR is not set: name an editor there, or give a file with --with")
    return words


def _named(env: Mapping[str, str]) -> list[str]:
    return next((shlex.split(env[name]) for name in EDITORS if env.get(name, "").strip()), [])


def written(name: str, original: bytes) -> Path:
    """The original in a file of its own, which its user alone can read."""
    handle, path = tempfile.mkstemp(prefix=name, suffix=".json")
    with os.fdopen(handle, "wb") as file:
        file.write(original)
    return Path(path)


def edited(file: Path, command: list[str]) -> bytes:
    """What a file holds after its editor ended, with an original's line end or none as before.

    Raises MeshError when the editor failed or changed nothing, SettingsError when it is not there.
    """
    before = file.read_bytes()
    _run(command, file)
    after = file.read_bytes()
    if not before.endswith(b"\n"):  # editors end a last line that was not ended
        after = after.removesuffix(b"\n")
    if after == before:
        raise MeshError("nothing was changed, so nothing is sent: without --edit it goes as it is")
    return after


def _run(command: list[str], file: Path) -> None:
    try:
        code = subprocess.run([*command, str(file)], check=False).returncode
    except OSError as error:
        raise SettingsError(f"the editor {command[0]!r} does not start: {error}") from error
    if code:
        raise MeshError(f"the editor {command[0]!r} ended with {code}: nothing is sent")
