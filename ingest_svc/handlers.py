"""What each event means to ingest: pure, given its ports; nothing is published here."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ingest_svc.file_check import Allowed, FileDecoder, check_file
from ingest_svc.ports import Objects
from schemas.events import DataArrived, EpochSealRequested, FileAccepted, FileRef
from twinstream.errors import PermanentError

Pin = tuple[str, str, str]
MOST_FILES = 10_000


class Arrival(msgspec.Struct, frozen=True):
    """What became of an arrival: files accepted, files known already, and those refused with the
    reason.
    """

    accepted: list[FileAccepted]
    repeated: int
    refused: list[tuple[str, str]]


def pin_of(source: str, file: FileRef) -> Pin:
    """What makes a file of a source this one and no other: version, or digest where there are no
    versions.
    """
    return source, file.uri, file.version_id or file.sha256


def handle_data_arrived(
    event: DataArrived,
    decoders: Mapping[str, FileDecoder],
    objects: Objects,
    *,
    allowed: Allowed,
    known: set[Pin],
    now_us: int,
) -> Arrival:
    """Check each file; `known` holds the pins of all files accepted before and is not changed.

    Raises StorageUnavailableError when S3 does not answer now: nothing is decided then.
    """
    if problem := _problem(event, decoders):
        return Arrival([], 0, [("", problem)])
    found: dict[Pin, FileAccepted] = {}
    repeated, refused = 0, []
    for file in event.files:
        try:
            accepted = _accepted(
                event, file, decoders[event.source], objects, allowed, now_us=now_us
            )
        except PermanentError as error:
            refused.append((file.uri, str(error)))
            continue
        pin = pin_of(event.source, accepted.file)
        repeated += pin in known or pin in found
        if pin not in known:
            found.setdefault(pin, accepted)
    return Arrival(list(found.values()), repeated, refused)


def _problem(event: DataArrived, decoders: Mapping[str, FileDecoder]) -> str:
    """What is wrong with an arrival as a whole, "" for nothing."""
    if event.source not in decoders:
        return (
            f"source {event.source!r} is not in the definition; "
            f"it has {', '.join(sorted(decoders))}"
        )
    if len(event.files) > MOST_FILES:
        return (
            f"{len(event.files)} files in one event, at most {MOST_FILES}: announce them in parts"
        )
    return ""


def _accepted(
    event: DataArrived,
    file: FileRef,
    decoder: FileDecoder,
    objects: Objects,
    allowed: Allowed,
    *,
    now_us: int,
) -> FileAccepted:
    """Raises a PermanentError for a file that is not taken."""
    allowed.check(event.source, file.uri)
    checked = check_file(file, event.format, decoder, objects, allowed.most_bytes)
    return FileAccepted(
        source=event.source,
        file=checked.file,
        format=checked.format,
        accepted_at_us=now_us,
    )


def handle_epoch_seal_requested(event: EpochSealRequested, requested: int) -> int:
    """The epoch up to which every partition must be sealed: a request never takes an earlier one
    back.
    """
    return max(requested, event.epoch)
