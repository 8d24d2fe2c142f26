"""Which model of a name serves: one rule over the topic of models, in its order, for whoever
serves, trains, watches or commands. Pure.
"""

# The topic has one partition, so "last" means the same to all. Models of different definitions
# never replace each other: a process that serves one definition goes on with its own.

from __future__ import annotations

from typing import TypeVar

from schemas.events import (
    CanaryChosen,
    Event,
    ModelHeld,
    ModelPromoted,
    ModelRolledBack,
    ShadowChosen,
)

KEPT = 1000
"""So many promotions are remembered, of each definition and in all."""
DEFINITIONS = 100
"""So many definitions of one model are remembered."""
Remembered = TypeVar("Remembered")
Chosen = TypeVar("Chosen", ShadowChosen, CanaryChosen)


class Succession:
    """What served one model, and serves now."""

    def __init__(self) -> None:
        self._known: dict[str, ModelPromoted] = {}
        self._lines: dict[str, list[ModelPromoted]] = {}
        self._shadows: dict[str, ShadowChosen] = {}
        self._canaries: dict[str, CanaryChosen] = {}
        self.held: ModelHeld | None = None

    def apply(self, event: Event) -> str:
        """Take the next event of this model; returns why it changes nothing, "" when it counts or
        is of another kind.
        """
        match event:
            case ModelPromoted():
                return self._promote(event)
            case ModelRolledBack():
                return self._roll_back(event)
            case ModelHeld():
                self.held = event if event.held else None
            case ShadowChosen():
                remember(self._shadows, event.definition_digest, event, DEFINITIONS)
            case CanaryChosen():
                remember(self._canaries, event.definition_digest, event, DEFINITIONS)
            case _:
                pass
        return ""

    def serving(self, definition: str) -> ModelPromoted | None:
        """What answers in a process of this definition."""
        return next(iter(self.line(definition)), None)

    def line(self, definition: str) -> list[ModelPromoted]:
        """What serves, and before it what a roll back leads to, step by step."""
        return self._lines.get(definition, [])[::-1]

    def shadow(self, definition: str) -> ShadowChosen | None:
        """What is asked beside it; None also while that is what serves."""
        return _beside(self._shadows.get(definition), self.serving(definition))

    def canary(self, definition: str) -> CanaryChosen | None:
        """What answers a share of the keys; None also while that, or nothing, serves."""
        serving = self.serving(definition)
        return _beside(self._canaries.get(definition), serving) if serving else None

    def used(self, newest: int) -> set[str]:
        """Digests of what serves or may serve again, the newest of each definition, and of what is
        asked beside it.
        """
        lines = (one.model_digest for line in self._lines.values() for one in line[-newest:])
        shadows = (one.model_digest for one in self._shadows.values())
        canaries = (one.model_digest for one in self._canaries.values())
        return {*lines, *shadows, *canaries}

    def known(self, digest: str) -> ModelPromoted | None:
        """The newest promotion of a model that has served."""
        return self._known.get(digest)

    def _promote(self, event: ModelPromoted) -> str:
        if self.held is not None and not event.by:
            return f"model {event.model_digest[:12]} is not taken: {held_words(self.held)}"
        remember(self._known, event.model_digest, event, KEPT)
        _put_on(self._line(event.definition_digest), event)
        return ""

    def _roll_back(self, event: ModelRolledBack) -> str:
        digest = event.to_model_digest
        before = self._known.get(digest)
        if before is None:
            return f"rolled back to model {digest[:12]}, which was never promoted here"
        _take_off(self._line(before.definition_digest), before)
        return ""

    def _line(self, definition: str) -> list[ModelPromoted]:
        line = self._lines.get(definition, [])
        remember(self._lines, definition, line, DEFINITIONS)
        return line


def _beside(chosen: Chosen | None, serving: ModelPromoted | None) -> Chosen | None:
    """The candidate that was chosen, when one was, and another one serves."""
    if chosen is None or not chosen.model_digest:
        return None
    own = serving is not None and serving.model_digest == chosen.model_digest
    return None if own else chosen


def _put_on(line: list[ModelPromoted], event: ModelPromoted) -> None:
    """A model that is promoted twice in a row is there once."""
    if line and line[-1].model_digest == event.model_digest:
        line.pop()
    line.append(event)
    del line[:-KEPT]


def _take_off(line: list[ModelPromoted], before: ModelPromoted) -> None:
    """What came after a model; one that is no longer in the line comes back to it."""
    digest = before.model_digest
    if not any(one.model_digest == digest for one in line):
        line.append(before)
    while line[-1].model_digest != digest:
        line.pop()


def held_words(held: ModelHeld) -> str:
    """Who holds a model, and why."""
    why = f": {held.reason}" if held.reason else ""
    return f"held by {held.by or 'an operator'}{why}"


def remember(
    found: dict[str, Remembered],
    name: str,
    value: Remembered,
    most: int,
) -> None:
    """The newest values by name, in bounded memory."""
    found.pop(name, None)
    found[name] = value
    if len(found) > most:
        del found[next(iter(found))]
