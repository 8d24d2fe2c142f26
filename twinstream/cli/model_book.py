"""All that happened to the models of a mesh, from their topic: what `models` lists, and what it may
promote.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from schemas import events as ev
from schemas.plausible import foreign
from schemas.topics import topic_of
from twinstream.errors import SettingsError
from twinstream.mesh.events import EventReader, pass_over
from twinstream.mesh.settings import MeshSettings
from twinstream.protocol.succession import Succession

SHORTEST = 4
SHORT = 12
"""Characters of a digest that a list shows."""
SERVES, SHADOW, CANARY = "serves", "asked beside", "answers a share"
BEFORE, OTHER = "served before", "other definition"
WAITS, REJECTED, PASSED_OVER = "no verdict yet", "rejected", "passed over"
Found = ev.ModelTrained | ev.ModelPromoted
Chosen = ev.ShadowChosen | ev.CanaryChosen
Decision = ev.ModelPromoted | ev.ModelRolledBack | ev.ModelHeld | Chosen
PLACES = {
    ev.ModelPromoted: ("model_digest", "promoted_at_us"),
    ev.ModelRolledBack: ("to_model_digest", "rolled_back_at_us"),
    ev.ModelHeld: ("", "held_at_us"),
    ev.ShadowChosen: ("model_digest", "chosen_at_us"),
    ev.CanaryChosen: ("model_digest", "chosen_at_us"),
}
"""The fields that say which model a decision means, and when it was made."""


class Candidate(msgspec.Struct, kw_only=True):
    """One trained model. `named`: the newest event that says where its files are; None for a
    training set on which none could be trained.
    """

    digest: str
    named: Found | None = None
    trained: ev.ModelTrained | None = None
    verdict: ev.ModelPromoted | ev.ModelRejected | None = None


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided about a model; `no_effect` says why it changed nothing."""

    what: str
    digest: str
    at_us: int
    by: str
    reason: str
    no_effect: str


class ModelBook:
    """The past and present of one model under one definition."""

    def __init__(
        self,
        model: str,
        definition: str,
    ) -> None:
        self.model = model
        self.definition = definition
        self.succession = Succession()
        self.candidates: dict[str, Candidate] = {}
        self.decided: list[Decided] = []

    def apply(self, event: ev.Event) -> None:
        """Take the next event of this model."""
        no_effect = self.succession.apply(event)
        if isinstance(event, Decision):
            self.decided.append(_decided(event, no_effect))
        if isinstance(event, ev.ModelTrained | ev.ModelPromoted | ev.ModelRejected):
            self._note(self._candidate(event.model_digest), event)

    @staticmethod
    def _note(found: Candidate, event: ev.Event) -> None:
        if isinstance(event, Found):
            found.named = event
        if isinstance(event, ev.ModelTrained):
            found.trained = event
        if isinstance(event, ev.ModelPromoted | ev.ModelRejected):
            found.verdict = event

    @property
    def serving(self) -> ev.ModelPromoted | None:
        """What answers, as far as the topic says."""
        return self.succession.serving(self.definition)

    @property
    def serving_digest(self) -> str:
        """Of what answers; "" when nothing does."""
        return self.serving.model_digest if self.serving else ""

    @property
    def shadow_digest(self) -> str:
        """Of what is asked beside it; "" when nothing is."""
        shadow = self.succession.shadow(self.definition)
        return shadow.model_digest if shadow else ""

    @property
    def canary_digest(self) -> str:
        """Of what answers a share of the keys; "" when nothing does."""
        canary = self.succession.canary(self.definition)
        return canary.model_digest if canary else ""

    @property
    def before(self) -> ev.ModelPromoted | None:
        """What a roll back leads to."""
        return next(iter(self.succession.line(self.definition)[1:]), None)

    def one(self, digest: str) -> Candidate:
        """The only model whose digest begins so; raises SettingsError."""
        whole = self.candidates.get(digest)
        return self._beginning(digest) if whole is None else whole

    def _beginning(self, digest: str) -> Candidate:
        if len(digest) < SHORTEST:
            raise SettingsError(f"{digest!r} is too short: give {SHORTEST} characters or more")
        matching = [one for name, one in self.candidates.items() if name.startswith(digest)]
        if len(matching) != 1:
            raise SettingsError(self._unclear(digest, matching))
        return matching[0]

    def _unclear(
        self,
        digest: str,
        matching: list[Candidate],
    ) -> str:
        found = ", ".join(one.digest[:SHORT] for one in matching[:5]) or "none"
        return (
            f"of the models of {self.model}, {found} begin with {digest[:80]!r}: "
            f"see twinstream models list {self.model}"
        )

    def state(self, candidate: Candidate) -> str:
        """In a few words."""
        if self._is_other(candidate):
            return OTHER
        line = [one.model_digest for one in self.succession.line(self.definition)]
        now = {
            **dict.fromkeys(line, BEFORE),
            self.shadow_digest: SHADOW,
            self.canary_digest: CANARY,
            self.serving_digest: SERVES,
        }
        return now.get(candidate.digest) or _judged(candidate)

    def _is_other(self, candidate: Candidate) -> bool:
        """Whether a model was made for another definition."""
        named = candidate.named
        return named is not None and named.definition_digest != self.definition

    def line(self, candidate: Candidate) -> dict[str, Any]:
        """One candidate as plain data."""
        trained, verdict = candidate.trained, candidate.verdict
        found = trained or verdict
        return {
            "model": self.model,
            "digest": candidate.digest,
            "state": self.state(candidate),
            "epoch": getattr(trained, "epoch", None),
            "trained_at_us": getattr(trained, "trained_at_us", None),
            "definition": getattr(candidate.named, "definition_digest", None),
            "by": getattr(verdict, "by", ""),
            "reason": getattr(verdict, "reason", ""),
            "metrics": found.metrics if found else {},
        }

    def lines(self) -> list[dict[str, Any]]:
        """All candidates as plain data, in the order in which they came."""
        return list(map(self.line, self.candidates.values()))

    def _candidate(self, digest: str) -> Candidate:
        return self.candidates.setdefault(digest, Candidate(digest=digest))


def books(
    settings: MeshSettings,
    models: Iterable[str],
    definition: str,
) -> dict[str, ModelBook]:
    """A book of each model, as of now."""
    found = {name: ModelBook(name, definition) for name in models}
    for event in _believed(settings):
        book = found.get(getattr(event, "model", ""))
        if book is not None:
            book.apply(event)
    return found


def _believed(settings: MeshSettings) -> Iterable[ev.Event]:
    """What services that read the topic believe of it."""

    def check(event: ev.Event) -> str:
        return foreign(event, settings.bucket, settings.model_bucket)

    topics = [topic_of(ev.ModelPromoted)]
    with EventReader(settings, topics, refused=pass_over, check=check) as reader:
        for event, _ in reader.read_to_end():
            yield event


def _judged(candidate: Candidate) -> str:
    """The state of a model that has never served."""
    if candidate.verdict is None:
        return WAITS
    return PASSED_OVER if isinstance(candidate.verdict, ev.ModelPromoted) else REJECTED


def _decided(event: Decision, no_effect: str) -> Decided:
    digest, at_us = PLACES[type(event)]
    return Decided(
        what=_what(event),
        digest=getattr(event, digest, ""),
        at_us=getattr(event, at_us),
        by=event.by,
        reason=event.reason,
        no_effect=no_effect,
    )


def _what(event: Decision) -> str:
    if isinstance(event, ev.CanaryChosen):
        return f"answers {event.share:.4g}" if event.model_digest else "answers no more"
    if isinstance(event, ev.ShadowChosen):
        return "asked beside" if event.model_digest else "asked no more"
    if isinstance(event, ev.ModelHeld):
        return "held" if event.held else "released"
    return "promoted" if isinstance(event, ev.ModelPromoted) else "rolled back"
