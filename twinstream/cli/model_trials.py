"""What a model's search tried: a line for each trial, the best one marked, its loss as a bar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from twinstream.cli.model_book import SHORT, Candidate
from twinstream.cli.model_changes import Desk
from twinstream.cli.show import out, shown, table
from twinstream.errors import MeshError, SettingsError

WIDTH = 24
"""Characters of the longest bar."""
BAR = "█"


class Trial(msgspec.Struct, frozen=True):
    """One candidate: its lowest validation loss (None: none was finite) and passes."""

    candidate: dict[str, Any]
    validation_loss: float | None
    epochs: int


class Searched(msgspec.Struct, frozen=True):
    """What a model's config keeps of its search."""

    trials: list[Trial] = []
    tuner: str = ""


class ConfigPart(msgspec.Struct, frozen=True):
    """What is read of a model's config."""

    training: Searched = Searched()


def searched_for(
    desk: Desk,
    found: Candidate,
) -> Searched:
    """The search behind a trained model, from its checked files; raises MeshError."""
    from twinstream.mesh.object_store import ObjectStore
    from twinstream.nn.digest import CONFIG, verify
    from twinstream.nn.model_objects import fetch

    if found.named is None:
        raise SettingsError(f"{found.digest[:80]} names no trained model")
    files = fetch(ObjectStore(desk.mesh.settings), found.named)
    verify(files, found.digest)
    try:
        return msgspec.json.decode(files[CONFIG], type=ConfigPart).training
    except msgspec.MsgspecError as error:
        short = found.digest[:SHORT]
        raise MeshError(f"the config of model {short} says nothing of a search: {error}") from error


def print_trials(found: Searched) -> None:
    """A table in the order of the trials."""
    if not found.trials:
        out.print("Nothing was searched: the model's search= leaves nothing to choose.")
        return
    names = list(found.trials[0].candidate)
    out.print(table(("", "loss", "passes", *names, ""), trial_rows(found.trials, names)))


def trial_rows(
    trials: Sequence[Trial],
    names: Sequence[str],
) -> list[list[str]]:
    """Number (the best one has a star), loss, passes, settings, and the loss as a bar."""
    losses = [t.validation_loss for t in trials if t.validation_loss is not None]
    best, worst = min(losses, default=0.0), max(losses, default=0.0)
    rows = []
    for number, trial in enumerate(trials, 1):
        loss = trial.validation_loss
        star = "*" if loss == best else ""
        settings = [shown(_short(trial.candidate.get(name))) for name in names]
        said = "failed" if loss is None else f"{loss:.5g}"
        rows.append([f"{number}{star}", said, str(trial.epochs), *settings, bar(loss, best, worst)])
    return rows


def bar(
    loss: float | None,
    best: float,
    worst: float,
) -> str:
    """The longer, the worse: from one character for the best loss to `WIDTH` for the worst."""
    if loss is None:
        return ""
    share = (loss - best) / (worst - best) if worst > best else 0.0
    return BAR * (1 + round(share * (WIDTH - 1)))


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
