"""A candidate beside what serves: how far their scores are apart, and how good both are on the
same labelled rows.
"""

from __future__ import annotations

from typing import Any

from monitor_svc.drift import bounded
from monitor_svc.label_rows import Asked, Outcome
from monitor_svc.quality import measure_of
from twinstream.protocol.predictions import Prediction, ShadowScore

MOST_CANDIDATES = 20
BOUNDARY = 0.5


class Compared:
    """Of one candidate with what answered; `binary`: scores are probabilities."""

    def __init__(
        self,
        *,
        binary: bool,
    ) -> None:
        self._binary = binary
        self.rows = 0
        self._apart = 0.0
        self._other_side = 0
        self.candidate = measure_of(binary=binary)
        self.served = measure_of(binary=binary)

    def asked(
        self,
        output: float,
        shadow: float,
    ) -> None:
        """Both scores of one row."""
        self.rows += 1
        self._apart += abs(output - shadow)
        self._other_side += (output > BOUNDARY) != (shadow > BOUNDARY)

    def take(
        self,
        asked: Asked,
        label: float | None,
        n: int,
    ) -> None:
        """Count the label of a row that both were asked; n = -1 takes it back."""
        if label is not None:
            self.candidate.add(asked.shadow, label, n)
            self.served.add(asked.score, label, n)

    @property
    def difference(self) -> float:
        """Mean absolute difference of the scores."""
        return self._apart / max(1, self.rows)

    @property
    def other_side(self) -> float | None:
        """Share of rows on the other side of 0.5; None for numbers."""
        return self._other_side / max(1, self.rows) if self._binary else None


class Comparisons:
    """Of the latest candidates of one model, by digest."""

    def __init__(
        self,
        *,
        binary: bool,
    ) -> None:
        self._binary = binary
        self.by_candidate: dict[str, Compared] = {}

    def predicted(self, event: Prediction) -> None:
        """Take a prediction."""
        if event.shadow is not None:
            shadow = bounded(event.shadow.output)
            self._of(event.shadow).asked(event.output, shadow)

    def take(self, outcome: Outcome) -> None:
        """Take the label of a prediction, or what corrects it."""
        asked = outcome.asked
        found = self.by_candidate.get(asked.shadow_digest)
        if found is not None:
            found.take(asked, outcome.before, -1)
            found.take(asked, outcome.label, 1)

    def lines(self) -> list[dict[str, Any]]:
        """As plain data, the oldest candidate first."""
        return [_line(digest, found) for digest, found in self.by_candidate.items()]

    def _of(self, shadow: ShadowScore) -> Compared:
        digest, known = shadow.model_digest, self.by_candidate
        if digest not in known and len(known) >= MOST_CANDIDATES:
            del known[next(iter(known))]
        return known.setdefault(digest, Compared(binary=self._binary))


def _line(digest: str, found: Compared) -> dict[str, Any]:
    return {
        "candidate": digest,
        "rows": found.rows,
        "difference": found.difference,
        "other_side": found.other_side,
        "labelled": found.candidate.n,
        "quality": {
            "candidate": found.candidate.scores(),
            "served": found.served.scores(),
        },
    }
