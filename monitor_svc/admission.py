"""Which run-time metrics are kept: anyone may write to their topic, so their form and their number
are bounded here.
"""

from __future__ import annotations

import re
from collections import OrderedDict

from schemas.events import MetricObserved

MOST_SERVICES = 64
MOST_OF_ONE = 400
"""Series of one service."""
MOST_SERIES = 2000
STALE = 20_000
"""A series that came in none of so many metrics makes room for a new one."""
MOST_LABELS = 8
LONGEST_NAME, LONGEST_LABEL = 64, 128
KINDS = ("counter", "gauge", "summary")
_NAME = re.compile(r"[a-zA-Z_][\w.-]*", re.ASCII)
Series = tuple[str, str, tuple[tuple[str, str], ...]]


def series_of(metric: MetricObserved) -> Series:
    """Service, name and labels."""
    return metric.service, metric.name, tuple(sorted(metric.labels.items()))


def odd(metric: MetricObserved) -> str:
    """What no service of the mesh would send; "" when all is well."""
    names = (metric.name, metric.service, *metric.labels, *metric.quantiles)
    if not all(map(_is_name, names)):
        return "a name"
    if metric.kind not in KINDS or len(metric.unit) > LONGEST_NAME:
        return "kind or unit"
    if max(len(metric.labels), len(metric.quantiles)) > MOST_LABELS:
        return "too many labels"
    longest = max(map(len, metric.labels.values()), default=0)
    return "a label's value" if longest > LONGEST_LABEL else ""


def _is_name(text: str) -> bool:
    return len(text) <= LONGEST_NAME and _NAME.fullmatch(text) is not None


class Admission:
    """The series that are kept, by service, and when each came last."""

    def __init__(self) -> None:
        self._services: dict[str, OrderedDict[Series, int]] = {}
        self._taken = 0
        self._kept = 0

    def admit(self, series: Series) -> bool:
        """Whether a metric of this series is taken; `leaving` says what makes room for it."""
        self._taken += 1
        known = self._services.get(series[0], OrderedDict())
        if series not in known and not self._has_room(known):
            return False
        self._kept += series not in known
        known[series] = self._taken
        known.move_to_end(series)
        self._services[series[0]] = known
        return True

    def leaving(self, service: str) -> Series | None:
        """Remove and return the stalest series of a service that has no room left;
        None when none is stale.
        """
        known = self._services.get(service)
        if not known or self._has_room(known):
            return None
        stalest, taken = next(iter(known.items()))
        if self._taken - taken < STALE:
            return None
        del known[stalest]
        self._kept -= 1
        return stalest

    def _has_room(self, known: OrderedDict[Series, int]) -> bool:
        new_service = not known and len(self._services) >= MOST_SERVICES
        return not new_service and len(known) < MOST_OF_ONE and self._kept < MOST_SERIES
