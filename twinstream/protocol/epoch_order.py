"""Epochs follow each other without a hole and never go back: what a reader of a topic that is kept for ever believes of them. Pure."""

from __future__ import annotations

from schemas.events import Cut, ViewPublished

Cuts = dict[str, dict[int, Cut]]


class EpochOrder:
    """Judges the epochs of a topic that is read from its beginning: each is at most one beyond the newest before it."""

    def __init__(self, newest: int = 0) -> None:
        self.newest = newest

    def refusal(self, epoch: int) -> str:
        """Why this epoch cannot be next; "" when it can, and then it is known."""
        if epoch > self.newest + 1:
            return f"epoch {epoch} does not follow epoch {self.newest}"
        self.newest = max(self.newest, epoch)
        return ""


class EpochEnds:
    """Judges where epochs end: all views of an epoch agree, and no epoch ends before the one that it follows.

    An earlier definition may have had other sources: what it says of them is not compared.
    """

    def __init__(self) -> None:
        self._known: dict[int, ViewPublished] = {}

    def refusal(self, event: ViewPublished) -> str:
        """Why an epoch cannot end there; "" when it can, and then it is known."""
        for epoch in (event.epoch - 1, event.epoch, event.epoch + 1):
            known = self._known.get(epoch)
            if known is None:
                continue
            first, second = (known, event) if epoch < event.epoch else (event, known)
            if found := _backwards(first, second) or (
                epoch == event.epoch and _backwards(second, first)
            ):
                return found
        self._known.setdefault(event.epoch, event)
        return ""


def _backwards(first: ViewPublished, second: ViewPublished) -> str:
    """In what `second` lies before `first`; "" when in nothing."""
    if second.file_count < first.file_count:
        return f"epoch {second.epoch} ends at file {second.file_count}, epoch {first.epoch} at {first.file_count}"
    for source in first.cuts.keys() & second.cuts.keys():
        for partition in first.cuts[source].keys() & second.cuts[source].keys():
            if second.cuts[source][partition].offset < first.cuts[source][partition].offset:
                return (
                    f"epoch {second.epoch} ends before epoch {first.epoch} in partition {partition}"
                    f" of {source}"
                )
    return ""
