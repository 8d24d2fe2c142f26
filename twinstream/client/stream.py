"""The monitor's stream of seconds: server-sent events as text, and which of their metrics are
new.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from twinstream.client.answers import Metric, Second
from twinstream.errors import UNDECODABLE

DATA = "data:"
_second = msgspec.json.Decoder(Second)


class News:
    """Takes the lines of a stream, gives each value of a series once, over any number of
    connections.
    """

    def __init__(self, name: str = "", service: str = "") -> None:
        """`name` and `service`: beginnings of those that are wanted."""
        self._name, self._service = name, service
        self._seen: dict[tuple[str, str, tuple[tuple[str, str], ...]], int] = {}

    def of(self, line: str) -> Iterator[Metric]:
        """New values that a line brings; one that is not a second of the monitor brings none."""
        if not line.startswith(DATA):
            return
        try:
            second = _second.decode(line[len(DATA) :].strip())
        except UNDECODABLE:
            return
        yield from (metric for metric in second.metrics if self._wanted(metric))

    def _wanted(self, metric: Metric) -> bool:
        """Whether it is asked for and newer than the last of its series."""
        if not metric.name.startswith(self._name) or not metric.service.startswith(self._service):
            return False
        series = metric.name, metric.service, tuple(sorted(metric.labels.items()))
        if self._seen.get(series, -1) >= metric.at_us:
            return False
        self._seen[series] = metric.at_us
        return True
