"""What decides about epochs, and the steps that there are."""

# Epochs count from 1. An epoch is landed when every view has its `ViewPublished`;
# until then the same cut is folded again.

from __future__ import annotations

import msgspec

from schemas.events import Cut

Cuts = dict[str, dict[int, Cut]]
"""Per source and log partition, where an epoch ends."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What of the definition and the settings decides about epochs."""

    sources: tuple[str, ...]
    views: tuple[str, ...]
    models: tuple[str, ...]
    digest: str
    partitions: int
    seal_every_us: int = 0
    seal_after_files: int = 0
    training_growth: float = 0.0


class Seal(msgspec.Struct, frozen=True):
    """Ask ingest for the end of `epoch`; `reason` is for the log."""

    epoch: int
    wishes: int
    reason: str
    retrains: int = 0


class Wait(msgspec.Struct, frozen=True):
    """Barriers of `epoch` are missing in these (source, partition)."""

    epoch: int
    missing: tuple[tuple[str, int], ...]


class Land(msgspec.Struct, frozen=True):
    """Append the rows between two cuts to the history, fold and publish `views`.

    `files_from..files_to`: numbers of the files, end excluded; `files_to` None:
    all that are accepted by now. `after`: the cut before. `as_of_us`:
    the time of the epoch before (EARLIEST_US: none); `landed_as_of_us`:
    that of this epoch, once a view of it is published. `left_out`:
    the files that the epoch lacks by an earlier view's manifest; None:
    those that are withdrawn by now, or cannot be read.
    """

    epoch: int
    views: tuple[str, ...]
    after: Cuts
    cut: Cuts
    files_from: int
    files_to: int | None
    as_of_us: int
    landed_as_of_us: int | None = None
    left_out: tuple[int, ...] | None = None


class Train(msgspec.Struct, frozen=True):
    """Build and publish the training sets of these models as of `epoch`."""

    epoch: int
    models: tuple[str, ...]


class Rest(msgspec.Struct, frozen=True):
    """Nothing to do."""


Step = Seal | Wait | Land | Train | Rest
