"""`models list | show | trials | promote | rollback | hold | shadow | canary`: which model answers,
in the user's hand.
"""

from __future__ import annotations

from typing import Annotated

import typer

from twinstream.cli import running
from twinstream.cli.model_book import books
from twinstream.cli.model_changes import (
    Desk,
    back,
    canary_aim,
    carry_out,
    choice_of_canary,
    choice_of_shadow,
    desk_of,
    holding,
    promotion,
    roll_back,
    serves,
    serving_aim,
    shadow_aim,
)
from twinstream.cli.model_check import check_files
from twinstream.cli.model_comparisons import as_monitored
from twinstream.cli.model_tables import (
    facts_of,
    now_words,
    print_facts,
    print_lines,
    print_summary,
    summary,
)
from twinstream.cli.model_trials import print_trials, searched_for
from twinstream.cli.options import DEFAULT_DATA, Data, Json, OneModel, Timeout, finite
from twinstream.cli.show import as_json, note, shown
from twinstream.errors import SettingsError
from twinstream.mesh.events import EventPublisher

app = typer.Typer(
    no_args_is_help=True,
    help="Trained models: what was found about each, and which one answers.",
)
WAIT_S = 10.0
"""So long `canary` waits for the predictor."""
Model = Annotated[str, typer.Argument(metavar="MODEL", help="A model of your definition.")]
Digest = Annotated[
    str, typer.Argument(metavar="DIGEST", help="Its digest, or how that begins, as list prints it.")
]
Why = Annotated[str, typer.Option("--why", help="For those who look at it later.")]


OneDigest = Annotated[
    str, typer.Argument(metavar="[DIGEST]", help="One trained model; not given: all of it.")
]
Candidate = Annotated[
    str, typer.Argument(metavar="[DIGEST]", help="The candidate; not given with --stop.")
]
To = Annotated[
    str, typer.Option("--to", metavar="DIGEST", help="Not to the one before, but to this one.")
]
Release = Annotated[bool, typer.Option("--release", help="Let the trainer promote again.")]
StopShadow = Annotated[bool, typer.Option("--stop", help="Ask no candidate any more.")]
Share = Annotated[
    float,
    typer.Option("--share", min=0, max=1, callback=finite, help="Of the keys, for example 0.05."),
]
StopCanary = Annotated[bool, typer.Option("--stop", help="Let what serves answer all keys again.")]


@app.command("list")
def list_models(
    model: OneModel = "",
    data: Data = DEFAULT_DATA,
    json: Json = False,  # noqa: FBT002
) -> None:
    """List trained models, oldest first, with the verdict on each; with --json one a line."""
    mesh = running.mesh(data)
    pipeline = mesh.pipeline()
    names = running.model_names(pipeline, model)
    found = books(mesh.settings, names, pipeline.digest).values()
    print_lines([line for book in found for line in book.lines()], json=json)
    for book in found:
        note(shown(now_words(book)))


@app.command()
def show(
    model: Model,
    digest: OneDigest = "",
    data: Data = DEFAULT_DATA,
    json: Json = False,  # noqa: FBT002
) -> None:
    """Show what serves, what served before, and who decided it; with DIGEST one trained model."""
    desk = desk_of(model, data)
    if digest:
        facts = facts_of(desk.book, desk.book.one(digest), as_monitored(desk))
        as_json(facts) if json else print_facts(facts)
    else:
        _show_all(desk, json=json)


@app.command()
def trials(
    model: Model,
    digest: Digest,
    data: Data = DEFAULT_DATA,
    json: Json = False,  # noqa: FBT002
) -> None:
    """Show what the search for a trained model tried, in its order; the best one has a star."""
    desk = desk_of(model, data)
    found = searched_for(desk, desk.book.one(digest))
    as_json(found) if json else print_trials(found)


def _show_all(desk: Desk, *, json: bool) -> None:
    found = summary(desk.book, as_monitored(desk))
    as_json(found) if json else print_summary(found)
    note(shown(now_words(desk.book)))


@app.command()
def promote(
    model: Model,
    digest: Digest,
    data: Data = DEFAULT_DATA,
    why: Why = "",
    timeout: Timeout = 10.0,
) -> None:
    """Let a trained model answer, whatever the trainer's verdict; wait until the predictor does."""
    desk = desk_of(model, data)
    found = desk.book.one(digest)
    if serves(desk.book, found):
        return
    event = promotion(check_files(desk, found), why)
    carry_out(desk, event, serving_aim(found.digest), timeout)


@app.command()
def rollback(
    model: Model,
    to: To = "",
    data: Data = DEFAULT_DATA,
    why: Why = "",
    timeout: Timeout = 10.0,
) -> None:
    """Let the model answer that was promoted before; wait until the predictor does."""
    desk = desk_of(model, data)
    found = back(desk.book, to)
    if serves(desk.book, found):
        return
    check_files(desk, found)
    event = roll_back(desk.book, found.digest, why)
    carry_out(desk, event, serving_aim(found.digest), timeout)
    if desk.book.succession.held is None:
        note(f"what is trained next may be promoted over it: twinstream models hold {model}")


@app.command()
def hold(
    model: Model,
    release: Release = False,  # noqa: FBT002
    data: Data = DEFAULT_DATA,
    why: Why = "",
) -> None:
    """Keep what answers: the trainer goes on and says its verdicts, but promotes nothing."""
    desk = desk_of(model, data)
    if release and desk.book.succession.held is None:
        note(f"{model} is not held")
        return
    event = holding(model, why, held=not release)
    EventPublisher(desk.mesh.settings, "/cli").publish(event, key=model)
    note(f"{model} is released" if release else f"{model} is held: the trainer promotes nothing")


@app.command()
def shadow(
    model: Model,
    digest: Candidate = "",
    stop: StopShadow = False,  # noqa: FBT002
    data: Data = DEFAULT_DATA,
    why: Why = "",
    timeout: Timeout = 10.0,
) -> None:
    """Ask a candidate what the model that serves is asked; `show` compares them."""
    if stop == bool(digest):
        raise SettingsError("name a candidate, or give --stop")
    desk = desk_of(model, data)
    if stop:
        carry_out(desk, choice_of_shadow(desk.book, None, why), shadow_aim(None), timeout)
    elif not serves(desk.book, chosen := desk.book.one(digest)):
        event = choice_of_shadow(desk.book, check_files(desk, chosen), why)
        carry_out(desk, event, shadow_aim(chosen.digest), timeout)


@app.command()
def canary(
    model: Model,
    digest: Candidate = "",
    share: Share = 0.0,
    stop: StopCanary = False,  # noqa: FBT002
    data: Data = DEFAULT_DATA,
    why: Why = "",
) -> None:
    """Let a candidate answer a share of the keys: the same key gets the same model, and a greater
    share adds keys.
    """
    if (bool(digest), share > 0) != (not stop, not stop):
        raise SettingsError("name a candidate and its --share, or give --stop")
    desk = desk_of(model, data)
    if stop:
        ended = choice_of_canary(desk.book, None, 0.0, why)
        carry_out(desk, ended, canary_aim(None, None), WAIT_S)
    elif not serves(desk.book, chosen := desk.book.one(digest)):
        event = choice_of_canary(desk.book, check_files(desk, chosen), share, why)
        carry_out(desk, event, canary_aim(chosen.digest, share), WAIT_S)
