"""Which release answers: rules over what was promoted and what has landed, for one row or many.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec

from schemas.events import (
    CanaryChosen,
    Event,
    ModelHeld,
    ModelPromoted,
    ModelRolledBack,
    Release,
    ShadowChosen,
)
from twinstream.protocol.succession import Succession

Chosen = TypeVar("Chosen", ShadowChosen, CanaryChosen)
DECISIONS = (ModelPromoted, ModelRolledBack)
FOLLOWED = (*DECISIONS, ModelHeld, ShadowChosen, CanaryChosen)


class Lifecycle:
    """What the lifecycle topic says of one pipeline's models, in its order."""

    def __init__(self, definition: str) -> None:
        self._definition = definition
        self._models: dict[str, Succession] = {}
        self.promoted: dict[str, ModelPromoted] = {}
        self.shadows: dict[str, ShadowChosen] = {}
        self.canaries: dict[str, CanaryChosen] = {}
        self.refused: dict[str, str] = {}

    def apply(self, event: Event) -> None:
        """Takes one event. One that changes nothing here is told, and what serves stays."""
        if not isinstance(event, FOLLOWED):
            return
        model = self._models.setdefault(event.model, Succession())
        reason = model.apply(event)
        self._follow(event.model, model)
        if isinstance(event, DECISIONS):
            self._tell(event, reason)

    def _follow(self, name: str, model: Succession) -> None:
        if (serving := model.serving(self._definition)) is not None:
            self.promoted[name] = serving
        _set(self.shadows, name, model.shadow(self._definition))
        _set(self.canaries, name, model.canary(self._definition))

    def _tell(self, event: ModelPromoted | ModelRolledBack, reason: str) -> None:
        reason = reason or self._of_another_definition(event)
        if reason:
            self.refused[event.model] = reason
        else:
            self.refused.pop(event.model, None)

    def _of_another_definition(self, event: ModelPromoted | ModelRolledBack) -> str:
        """Why a model that was promoted is none for this process; "" when it is one."""
        digest = event.to_model_digest if isinstance(event, ModelRolledBack) else event.model_digest
        found = self._models[event.model].known(digest)
        if found is None or found.definition_digest == self._definition:
            return ""
        return (
            f"model {digest[:12]} was made for definition {found.definition_digest[:12]}, "
            f"this process serves {self._definition[:12]}: restart it with that definition, "
            "or train again"
        )


def _set(chosen: dict[str, Chosen], name: str, one: Chosen | None) -> None:
    """The one that was chosen, or none."""
    if one is not None:
        chosen[name] = one
    else:
        chosen.pop(name, None)


class Decision(msgspec.Struct, frozen=True):
    """The release that should answer, or why there is none."""

    release: Release | None
    reason: str = ""


def common_epoch(landed: Mapping[str, Iterable[int]]) -> int | None:
    """The newest epoch whose base has landed in every view (each with its set of epochs),
    None when they share none.
    """
    sets = [set(epochs) for epochs in landed.values()]
    shared = set.intersection(*sets) if sets else {0}
    return max(shared, default=None)


def decide(
    definition: str,
    landed: Mapping[str, Iterable[int]],
    loaded_model: str | None,
    refused: str,
) -> Decision:
    """The release of one model, from the epochs landed in its views and the digest of its loaded
    model.
    """
    epoch = common_epoch(landed)
    if epoch is None:
        return Decision(None, _not_landed(landed))
    if loaded_model is None:
        return Decision(
            None,
            refused
            or "no model was promoted yet:"
            " seal an epoch with enough labelled rows and wait for training",
        )
    return Decision(Release(definition=definition, epoch=epoch, model=loaded_model))


def _not_landed(landed: Mapping[str, Iterable[int]]) -> str:
    missing = sorted(view for view, epochs in landed.items() if not set(epochs))
    if missing:
        return f"views {', '.join(missing)} are not whole yet"
    return "the views have no epoch in common yet"
