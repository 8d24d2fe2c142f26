"""Epochs follow each other without a hole: an event of an epoch is believed when it is at most one
beyond the newest before it. Pure.
"""

from __future__ import annotations


class EpochOrder:
    """Judges the epochs of a topic that is read from its beginning:
    each is at most one beyond the newest before it.
    """

    def __init__(self, newest: int = 0) -> None:
        self.newest = newest

    def refusal(self, epoch: int) -> str:
        """Why this epoch cannot be next; "" when it can, and then it is known."""
        if epoch > self.newest + 1:
            return f"epoch {epoch} does not follow epoch {self.newest}"
        self.newest = max(self.newest, epoch)
        return ""
