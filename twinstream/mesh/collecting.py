"""Python's search for reference cycles, kept away from what a process has loaded and from what
passes through it by the thousand.
"""

from __future__ import annotations

import gc

AFTER = 20_000


def rarely(after: int = AFTER) -> None:
    """Never search what there is now, and search what is new only when there are `after` objects
    more than at the last time.

    With Python's default (700) the searches among 10,000 messages at a time took two fifths of
    ingest's main thread; and each full search walks through all that the libraries loaded,
    while records wait.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(after)
