"""`dataset list | show | diff | export | build`: training sets, in the user's hand."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from schemas.events import Event, SealRequested, TrainingSetPublished
from schemas.topics import topic_of
from twinstream.cli import running
from twinstream.cli.dataset_tables import print_difference, print_set, print_sets, set_facts
from twinstream.cli.options import DEFAULT_DATA, Data, Json, OneModel, Timeout
from twinstream.cli.show import as_json, note, shown
from twinstream.datasets import dataset
from twinstream.datasets.catalogue import SHORT, PublishedSet, chosen_set, published_sets
from twinstream.datasets.differences import difference
from twinstream.datasets.fetching import published_manifest
from twinstream.errors import ObjectExistsError, ObjectMissingError, WaitTimeoutError
from twinstream.mesh.clock import WallClock
from twinstream.mesh.events import EventPublisher, EventReader, pass_over
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.settings import MeshSettings

app = typer.Typer(
    no_args_is_help=True,
    help="Training sets: what each holds, and its files.",
)
Model = Annotated[str, typer.Argument(metavar="MODEL", help="A model of your definition.")]
Which = Annotated[
    str,
    typer.Argument(
        metavar="[SET]", help="Its epoch, its digest or how that begins; not given: the newest."
    ),
]
Named = Annotated[str, typer.Argument(help="Its epoch, its digest or how that begins.")]


Reason = Annotated[str, typer.Option(help="Why, for the log.")]


@app.command("list")
def list_datasets(
    model: OneModel = "",
    data: Data = DEFAULT_DATA,
    json: Json = False,  # noqa: FBT002
) -> None:
    """List the training sets that were published, oldest first; with --json one a line."""
    mesh = running.mesh(data)
    found = published_sets(mesh.settings, running.model_names(mesh.pipeline(), model))
    if not json:
        print_sets(found)
        return
    for one in found:
        as_json(set_facts(one))


@app.command()
def show(
    model: Model,
    which: Which = "",
    data: Data = DEFAULT_DATA,
    json: Json = False,  # noqa: FBT002
) -> None:
    """Show what a training set holds: its rows, their parts, and each column with its nulls."""
    mesh = running.mesh(data)
    name = mesh.pipeline().model(model).name
    found = chosen_set(published_sets(mesh.settings, [name]), name, which)
    facts = set_facts(found) | _manifest_facts(found, mesh.settings)
    as_json(facts) if json else print_set(facts)


def _manifest_facts(found: PublishedSet, settings: MeshSettings) -> dict[str, Any]:
    """What is known only as long as the files are kept."""
    try:
        manifest = published_manifest(found.event, ObjectStore(settings))
    except ObjectMissingError as error:
        note(shown(str(error)))
        return {}
    return dict(msgspec.to_builtins(manifest))


@app.command()
def diff(
    model: Model,
    first: Named,
    second: Named,
    data: Data = DEFAULT_DATA,
    json: Json = False,  # noqa: FBT002
) -> None:
    """Compare two training sets of a model: rows by id and moment, values by column."""
    sets = [dataset(model, which, data=data).to_table() for which in (first, second)]
    found = difference(*sets)
    as_json(found) if json else print_difference(found, first, second)


@app.command("export")
def export_dataset(
    model: Model,
    out_place: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="A folder that is not there yet.")
    ],
    which: Which = "",
    data: Data = DEFAULT_DATA,
    json: Json = False,  # noqa: FBT002
) -> None:
    """Write a training set's files, checked, with its manifest and statistics into a folder, to be
    read anywhere: twinstream.dataset(folder=...).
    """
    if out_place.exists():
        raise ObjectExistsError(f"{out_place} is there already: name another folder")
    found = dataset(model, which, data=data)
    shutil.copytree(found.folder, out_place)
    if json:
        as_json({"out": str(out_place), **msgspec.to_builtins(found.manifest)})
    note(shown(f"{len(found)} rows in {out_place}; digest {found.manifest.digest[:SHORT]}"))


@app.command()
def build(
    model: Model,
    data: Data = DEFAULT_DATA,
    reason: Reason = "a training set was asked for",
    timeout: Timeout = 600.0,
    json: Json = False,  # noqa: FBT002
) -> None:
    """End the current epoch, and wait for the model's training set as of it."""
    mesh = running.mesh(data)
    name = mesh.pipeline().model(model).name
    found = PublishedSet(event=_next_set(mesh.settings, name, reason, timeout))
    as_json(set_facts(found)) if json else print_sets([found])


def _next_set(
    settings: MeshSettings,
    model: str,
    reason: str,
    timeout_s: float,
) -> TrainingSetPublished:
    with EventReader(settings, [topic_of(TrainingSetPublished)], refused=pass_over) as reader:
        before = max((_epoch(event, model) for event, _ in reader.read_to_end()), default=-1)
        _ask_for_the_end(settings, reason)
        return _awaited(reader, model, before, timeout_s)


def _ask_for_the_end(settings: MeshSettings, reason: str) -> None:
    """Of the open epoch."""
    wish = SealRequested(reason=reason, requested_at_us=WallClock().now_us())
    EventPublisher(settings, "/cli").publish(wish)


def _awaited(
    reader: EventReader,
    model: str,
    before: int,
    timeout_s: float,
) -> TrainingSetPublished:
    """The next set of the model; raises WaitTimeoutError."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        event, _ = reader.poll(0.5) or (None, None)
        if isinstance(event, TrainingSetPublished) and _epoch(event, model) > before:
            return event
    raise WaitTimeoutError(
        f"no training set of {model} came within {timeout_s:g} s: see twinstream status; a set is "
        "published when questions have outcomes, and enough new ones "
        "(TWINSTREAM_BATCH_TRAINING_GROWTH)"
    )


def _epoch(event: Event | None, model: str) -> int:
    """Of a training set of the model; -1 for anything else."""
    if isinstance(event, TrainingSetPublished) and event.model == model:
        return event.epoch
    return -1
