"""Sends dead letters again, as they were or corrected, and says what became of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from schemas.events import DeadLetterResolved
from twinstream.cli import editing
from twinstream.cli.replaying import Sender
from twinstream.cli.show import note, shown
from twinstream.define.pipeline import Pipeline
from twinstream.errors import MeshError, SettingsError
from twinstream.mesh.clock import WallClock
from twinstream.mesh.dead_letter_reader import Letter, LetterId, original_of
from twinstream.mesh.events import EventPublisher
from twinstream.mesh.settings import MeshSettings


class Correction(NamedTuple):
    """What is sent in place of an original: a file's bytes, or what a user makes of it."""

    file: Path | None
    edit: bool

    def check(self, ids: list[str]) -> None:
        """Raises SettingsError for options that do not go together."""
        if self.file is not None and self.edit:
            raise SettingsError("--with and --edit each say what to send: give one of them")
        if (self.file is not None or self.edit) and len(ids) != 1:
            raise SettingsError("--with and --edit correct one dead letter: name its id")


class Replays:
    """Sends letters again, one at a time."""

    def __init__(
        self,
        settings: MeshSettings,
        pipeline: Pipeline,
        correction: Correction,
    ) -> None:
        self._settings = settings
        self._correction = correction
        self._editor = editing.editor(os.environ) if correction.edit else []
        self._sender = Sender(settings, pipeline)

    def problem(self, letter: Letter) -> str:
        """Send a letter again; why that could not be done, "" when it was."""
        if self._correction.edit:
            return self._edited(letter)
        return self._replayed(letter, self._correction.file)

    def _edited(self, letter: Letter) -> str:
        """What the user wrote is kept until it is sent."""
        file = _better(letter, original_of(self._settings, letter), self._editor)
        problem = self._replayed(letter, file)
        if problem:
            return f"{problem}; what you wrote is in {file}: mend it and give it with --with"
        file.unlink()
        return ""

    def _replayed(self, letter: Letter, file: Path | None) -> str:
        """It is marked only when Kafka has it: sent twice, its id counts once."""
        try:
            original = original_of(self._settings, letter) if file is None else file.read_bytes()
            place = self._sender.send(letter, original, corrected=file is not None)
        except MeshError as error:
            note(f"{letter.id}: {shown(str(error))}")
            return f"{letter.id}: {error}"
        where = f"{place.topic}[{place.partition}]@{place.offset}"
        say_resolved(self._sender.events, letter.id, "replayed", f"as {where}")
        note(f"{letter.id} replayed as {place.topic}\\[{place.partition}]@{place.offset}")
        return ""


def _better(
    letter: Letter,
    original: bytes,
    command: list[str],
) -> Path:
    """A file with what a user makes of the original."""
    file = editing.written(f"{letter.id}-".replace("/", "-"), original)
    try:
        better = editing.edited(file, command)
    except MeshError:
        file.unlink()
        raise
    file.write_bytes(better)
    return file


def say_resolved(
    events: EventPublisher,
    where: LetterId,
    how: str,
    reason: str,
    *,
    wait: bool = True,
) -> None:
    """Tell the mesh that a letter is dealt with."""
    event = DeadLetterResolved(
        service=where.service,
        partition=where.partition,
        offset=where.offset,
        how=how,
        reason=reason,
        resolved_at_us=WallClock().now_us(),
    )
    events.publish(event, wait=wait)
