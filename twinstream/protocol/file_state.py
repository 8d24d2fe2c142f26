"""What became of an accepted file: waiting, withdrawn, folded, or left out of its epoch. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from schemas.events import FileAccepted, FileWithdrawn, ViewPublished

ALWAYS_US = (1 << 63) - 1
"""Until then a withdrawal without a time holds."""


class FileState(msgspec.Struct, frozen=True, kw_only=True):
    """`number` is the file's place in the topic of accepted files;
    `epoch` the one whose cut holds it, 0 while none does.
    """

    number: int
    accepted: FileAccepted
    state: str
    epoch: int = 0


def withdraws(event: FileWithdrawn, accepted: FileAccepted) -> bool:
    """Whether a withdrawal means this file.

    One that names no version means those that were accepted before it.
    """
    same = (event.source, event.uri) == (accepted.source, accepted.file.uri)
    if event.version_id:
        return same and event.version_id == accepted.file.version_id
    return same and (not event.withdrawn_at_us or accepted.accepted_at_us <= event.withdrawn_at_us)


class Withdrawals:
    """All withdrawals so far: asked about a file, in one look each, what `withdraws` says of any of
    them.
    """

    def __init__(self) -> None:
        self._until_us: dict[tuple[str, str], int] = {}
        self._versions: set[tuple[str, str, str]] = set()

    def add(self, event: FileWithdrawn) -> None:
        """Learn one; the order does not matter."""
        name = (event.source, event.uri)
        if event.version_id:
            self._versions.add((*name, event.version_id))
            return
        until_us = event.withdrawn_at_us or ALWAYS_US
        self._until_us[name] = max(until_us, self._until_us.get(name, until_us))

    def covers(self, accepted: FileAccepted) -> bool:
        """Whether a user took this file back."""
        name = (accepted.source, accepted.file.uri)
        return (*name, accepted.file.version_id) in self._versions or (
            name in self._until_us and accepted.accepted_at_us <= self._until_us[name]
        )


def state_of(
    number: int,
    accepted: FileAccepted,
    withdrawn: Iterable[FileWithdrawn],
    manifests: Iterable[ViewPublished],
) -> FileState:
    """The state of one file; all views' manifests of an epoch agree, so any of them will do."""
    within = min(
        (event for event in manifests if event.file_count > number),
        key=lambda event: event.epoch,
        default=None,
    )
    if within is not None:
        state = "left out" if number in within.left_out else "folded"
        return FileState(number=number, accepted=accepted, state=state, epoch=within.epoch)
    taken_back = any(withdraws(event, accepted) for event in withdrawn)
    return FileState(
        number=number, accepted=accepted, state="withdrawn" if taken_back else "accepted"
    )
