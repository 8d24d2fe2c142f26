"""Which release answers: rules over what was promoted and what has landed, for one row or many.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from schemas.events import (
    Event,
    ModelPromoted,
    ModelRolledBack,
    Release,
)


class Lifecycle:
    """What the lifecycle topic says of one pipeline's models, in its order."""

    def __init__(self, definition: str) -> None:
        self._definition = definition
        self.promoted: dict[str, ModelPromoted] = {}
        self.seen: dict[str, dict[str, ModelPromoted]] = {}
        self.refused: dict[str, str] = {}

    def apply(self, event: Event) -> None:
        """Takes one event. A model of another definition is remembered as refused,
        and the one before it stays.
        """
        if isinstance(event, ModelPromoted):
            self._promote(event)
        elif isinstance(event, ModelRolledBack):
            self._roll_back(event)

    def _roll_back(self, event: ModelRolledBack) -> None:
        before = self.seen.get(event.model, {}).get(event.to_model_digest)
        if before is not None:
            self._promote(before)
            return
        self.refused[event.model] = (
            f"rolled back to model {event.to_model_digest[:12]}, which was never promoted here"
        )

    def _promote(self, event: ModelPromoted) -> None:
        self.seen.setdefault(event.model, {})[event.model_digest] = event
        if event.definition_digest != self._definition:
            self.refused[event.model] = (
                f"model {event.model_digest[:12]} was made for definition"
                f" {event.definition_digest[:12]}, this process serves {self._definition[:12]}:"
                " restart it with that definition, or train again"
            )
            return
        self.refused.pop(event.model, None)
        self.promoted[event.model] = event


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
