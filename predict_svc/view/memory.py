"""What a process frees stays with it: arrays of a megabyte come and go in the hot loops,
and the pages of each new one would be faulted in anew.
"""

from __future__ import annotations

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
KEPT_BYTES = 256 << 20
"""Free memory at the end of the heap beyond this goes back to the system."""
HEAP_BYTES = 32 << 20
"""Blocks up to this size are taken from the heap, not mapped one by one;
the most that glibc allows.
"""


def keep_freed() -> bool:
    """Tell the C library; False where it is not glibc, whose other allocators are left as they
    are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all([mallopt(MMAP_THRESHOLD, HEAP_BYTES), mallopt(TRIM_THRESHOLD, KEPT_BYTES)])
