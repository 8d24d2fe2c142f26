"""Days of the calendar, as compiled loops count them."""

from __future__ import annotations

from twinstream.algebra.compiled.jit import compiled


@compiled
def days_of(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to a date (Howard Hinnant, "chrono-Compatible Low-Level Date
    Algorithms": days_from_civil).
    """
    if month <= 2:
        year -= 1
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


@compiled
def days_in(year: int, month: int) -> int:
    """How many days a month has."""
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 + (month + month // 8) % 2  # 31 every other month, and in July and August
