"""What `models` decides: checked before it is written, then waited for until the predictor does
it.
"""

from __future__ import annotations

import getpass
import time
import urllib.request
from pathlib import Path
from typing import Any

import msgspec

from schemas.events import Event, ModelHeld, ModelPromoted, ModelRolledBack
from twinstream.cli import ask, running
from twinstream.cli.model_book import SHORT, Candidate, Found, ModelBook, books
from twinstream.cli.show import note, shown
from twinstream.define.pipeline import Pipeline
from twinstream.errors import (
    MeshError,
    NotRunningError,
    SettingsError,
    WaitTimeoutError,
)
from twinstream.mesh.clock import WallClock
from twinstream.mesh.events import EventPublisher

PAUSE_S = 0.1


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """A mesh and the book of one of its models."""

    mesh: running.Running
    pipeline: Pipeline
    book: ModelBook


def desk_of(model: str, data: Path) -> Desk:
    """Raises DefinitionError for a model that the definition lacks."""
    mesh = running.mesh(data)
    pipeline = mesh.pipeline()
    name = pipeline.model(model).name
    book = books(mesh.settings, [name], pipeline.digest)[name]
    return Desk(mesh=mesh, pipeline=pipeline, book=book)


def serves(book: ModelBook, found: Candidate) -> bool:
    """Whether a model is decided on already, which is told."""
    already = book.serving_digest == found.digest
    if already:
        note(f"model {found.digest[:SHORT]} serves already")
    return already


def back(book: ModelBook, to: str) -> Candidate:
    """What a roll back leads to; raises SettingsError."""
    if not to:
        before = book.before
        if before is None:
            raise SettingsError(f"no model of {book.model} was promoted before what serves now")
        return book.candidates[before.model_digest]
    found = book.one(to)
    if book.succession.known(found.digest) is None:
        raise SettingsError(
            f"model {found.digest[:SHORT]} was never promoted: use twinstream models promote"
        )
    return found


def carry_out(desk: Desk, event: Event, digest: str, timeout_s: float) -> None:
    """Write what is decided; unless `timeout_s` is 0, wait until the predictor answers so."""
    EventPublisher(desk.mesh.settings, "/cli").publish(event, key=desk.book.model)
    note(f"it is decided: model {digest[:SHORT]} is to answer for {desk.book.model}")
    if timeout_s:
        note(_followed(desk, digest, timeout_s))


def _followed(desk: Desk, digest: str, timeout_s: float) -> str:
    """That the predictor answers with a model, or that there is no predictor; raises
    WaitTimeoutError when it does not come to that.
    """
    until, reason = time.monotonic() + timeout_s, ""
    while time.monotonic() < until:
        try:
            now = _released(desk, timeout_s)
        except NotRunningError as error:
            return f"no predictor follows now: {shown(str(error))}"
        if now["model"] == digest:
            return f"release {now['release']} answers"
        reason = now["reason"] or f"release {now['release']} answers"
        time.sleep(PAUSE_S)
    raise WaitTimeoutError(f"the predictor did not follow within {timeout_s:g} s: {reason}")


def _released(desk: Desk, timeout_s: float) -> dict[str, Any]:
    """What answers for the model, as the predictor says."""
    address = desk.mesh.addresses["predict"]
    request = urllib.request.Request(f"{address}/v1/releases")  # noqa: S310
    try:
        found: dict[str, Any] = ask.answer_to(request, timeout_s)["models"][desk.book.model]
    except (KeyError, TypeError) as error:
        raise MeshError(f"what is at {address} is no predictor of this definition") from error
    return found


def promotion(named: Found, why: str) -> ModelPromoted:
    """The event that lets a model answer."""
    by = user()
    return ModelPromoted(
        model=named.model,
        model_digest=named.model_digest,
        uri=named.uri,
        version_ids=named.version_ids,
        definition_digest=named.definition_digest,
        metrics=named.metrics,
        reason=_with(f"promoted by hand by {by}", why),
        promoted_at_us=WallClock().now_us(),
        by=by,
    )


def roll_back(book: ModelBook, digest: str, why: str) -> ModelRolledBack:
    """The event that lets a model answer again."""
    by = user()
    return ModelRolledBack(
        model=book.model,
        model_digest=book.serving_digest,
        to_model_digest=digest,
        reason=_with(f"rolled back by {by}", why),
        rolled_back_at_us=WallClock().now_us(),
        by=by,
    )


def holding(model: str, why: str, *, held: bool) -> ModelHeld:
    """The event that holds or releases a model."""
    at_us = WallClock().now_us()
    return ModelHeld(model=model, held=held, reason=_text(why), held_at_us=at_us, by=user())


def user() -> str:
    """Who gives the command, as this machine knows them."""
    try:
        return _text(getpass.getuser())
    except (KeyError, OSError, ImportError):
        return "an unknown user"


def _with(what: str, why: str) -> str:
    return f"{what}: {_text(why)}" if why else what


def _text(given: str) -> str:
    """What the shell gave, as JSON can hold it."""
    return given.encode(errors="replace").decode()
