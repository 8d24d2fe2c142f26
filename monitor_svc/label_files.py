"""Which questions the files of a label's source may answer: this service reads the log alone."""

from __future__ import annotations

from schemas.plausible import LAST_US
from twinstream.protocol.known_time import EARLIEST_US

MOST_EPOCHS = 10_000
"""Remembered of those that are told before their files."""


class LabelFiles:
    """Counts accepted files and the epochs that hold them.

    The records of a file are of times up to that of the first epoch that holds it; until one does,
    of any time.
    """

    def __init__(self) -> None:
        self.count = 0
        """Accepted files of the label's source."""
        self._all = 0
        self._needed = 0
        """An epoch of so many files holds every file of labels."""
        self._as_of_us: dict[int, int] = {}

    def accepted(self, *, labels: bool) -> None:
        """The next file, in the order in which files were accepted."""
        self._all += 1
        if labels:
            self.count += 1
            self._needed = self._all
            self._as_of_us = {n: us for n, us in self._as_of_us.items() if n >= self._needed}

    def landed(self, files: int, as_of_us: int) -> None:
        """An epoch landed, or a view of it."""
        if files >= self._needed:
            self._as_of_us[files] = min(as_of_us, self._as_of_us.get(files, as_of_us))
            if len(self._as_of_us) > MOST_EPOCHS:
                del self._as_of_us[next(iter(self._as_of_us))]

    @property
    def unread_until_us(self) -> int:
        """A record in a file is not later."""
        if not self.count:
            return EARLIEST_US
        return min(self._as_of_us.values(), default=LAST_US)
