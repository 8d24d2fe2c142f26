"""What `models` decides: checked before it is written, then waited for until the predictor does
it.
"""

from __future__ import annotations

import getpass
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from schemas.events import (
    CanaryChosen,
    Event,
    ModelHeld,
    ModelPromoted,
    ModelRolledBack,
    ShadowChosen,
)
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
        return _before(book)
    found = book.one(to)
    if book.succession.known(found.digest) is None:
        raise SettingsError(
            f"model {found.digest[:SHORT]} was never promoted: use twinstream models promote"
        )
    return found


def _before(book: ModelBook) -> Candidate:
    before = book.before
    if before is None:
        raise SettingsError(f"no model of {book.model} was promoted before what serves now")
    return book.candidates[before.model_digest]


class Aim(NamedTuple):
    """What the predictor shall say for the model when it has followed: `field` of what it says of
    its releases, and the field that says why not.
    """

    field: str
    digest: str | None
    reason: str
    what: str
    share: float | None = None

    @property
    def words(self) -> str:
        """In a sentence."""
        return self.what if self.digest is None else f"model {self.digest[:SHORT]} {self.what}"

    def reached(
        self,
        now: Mapping[str, Any],
    ) -> bool:
        """Whether the predictor says so."""
        return now[self.field] == self.digest and self.share in {None, now["canary_share"]}


def serving_aim(digest: str) -> Aim:
    """That a model answers."""
    return Aim("model", digest, "reason", "answers")


def shadow_aim(digest: str | None) -> Aim:
    """That a model, or none, is asked beside what serves."""
    what = "is asked beside what serves" if digest else "no candidate is asked"
    return Aim("shadow", digest, "shadow_reason", what)


def canary_aim(digest: str | None, share: float | None) -> Aim:
    """That a model, or none, answers a share of the keys."""
    what = f"answers {share:.4g} of the keys" if digest else "no canary answers"
    return Aim("canary", digest, "canary_reason", what, share if digest else None)


def carry_out(
    desk: Desk,
    event: Event,
    aim: Aim,
    timeout_s: float,
) -> None:
    """Write what is decided; unless `timeout_s` is 0, wait until the predictor follows."""
    EventPublisher(desk.mesh.settings, "/cli").publish(event, key=desk.book.model)
    note(f"it is decided for {desk.book.model}: {aim.words}")
    if timeout_s:
        note(_followed(desk, aim, timeout_s))


def _followed(
    desk: Desk,
    aim: Aim,
    timeout_s: float,
) -> str:
    """That the predictor follows, or that there is none; raises WaitTimeoutError when it does not
    come to that.
    """
    until, reason = time.monotonic() + timeout_s, ""
    while time.monotonic() < until:
        try:
            now = _released(desk, timeout_s)
        except NotRunningError as error:
            return f"no predictor follows now: {shown(str(error))}"
        if aim.reached(now):
            return f"the predictor follows; release {now['release']} answers"
        reason = now[aim.reason] or f"release {now['release']} answers"
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


def choice_of_canary(
    book: ModelBook,
    named: Found | None,
    share: float,
    why: str,
) -> CanaryChosen:
    """The event that lets a model, or none, answer a share of the keys."""
    what = f"{share:.4g} of the keys" if named else "ended"
    return CanaryChosen(
        share=share if named else 0.0,
        chosen_at_us=WallClock().now_us(),
        **_choice(book, named, what, why),
    )


def _choice(
    book: ModelBook,
    named: Found | None,
    what: str,
    why: str,
) -> dict[str, Any]:
    """What every choice of a candidate, or of none, says."""
    by = user()
    return {
        "model": book.model,
        "model_digest": named.model_digest if named else "",
        "definition_digest": book.definition,
        "uri": named.uri if named else "",
        "version_ids": named.version_ids if named else {},
        "reason": _with(f"{what} by {by}", why),
        "by": by,
    }


def choice_of_shadow(
    book: ModelBook,
    named: Found | None,
    why: str,
) -> ShadowChosen:
    """The event that lets a model, or none, be asked beside what serves."""
    what = "asked" if named else "ended"
    return ShadowChosen(chosen_at_us=WallClock().now_us(), **_choice(book, named, what, why))


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


def roll_back(
    book: ModelBook,
    digest: str,
    why: str,
) -> ModelRolledBack:
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


def holding(
    model: str,
    why: str,
    *,
    held: bool,
) -> ModelHeld:
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
