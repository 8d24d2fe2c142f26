"""How large a stored value may be; what compiled loops and types of fields share."""

from __future__ import annotations

LIMIT = 2**62
"""Largest magnitude of a stored integer, so that a sum of two never leaves 64 bits."""
MAX_PLACES = 15
"""Most decimal places of a number."""
FIRST_DAY, LAST_DAY = -25_567, 84_370
"""Days since 1970 of 1900-01-01 and of 2200-12-31."""
DAY_US = 86_400_000_000
FIRST_US, LAST_US = FIRST_DAY * DAY_US, (LAST_DAY + 1) * DAY_US - 1
"""Microseconds since 1970 of the first moment of 1900 and of the last one of 2200."""
UNSURE = -(1 << 63) + 1
"""The value of no field: compiled loops write it where they are not sure."""
