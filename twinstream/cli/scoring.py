"""`score`: many rows at once, by Spark."""

from __future__ import annotations

import os
from typing import Annotated

import msgspec
import typer

from twinstream.cli import extras, running
from twinstream.cli.options import DEFAULT_DATA, Data, Json
from twinstream.cli.show import as_json, note, out, shown, table
from twinstream.errors import (
    MeshError,
    NotRunningError,
    SettingsError,
    WaitTimeoutError,
)
from twinstream.mesh.exit_codes import NOT_RUNNING, TIMEOUT, USAGE
from twinstream.protocol.scores import ScoreAnswer, ScoreManifest, ScoreRequest

MODULE = "preprocess_svc.batch.scoring"
TRACE = "TWINSTREAM_TRACE"
_KINDS = {USAGE: SettingsError, NOT_RUNNING: NotRunningError, TIMEOUT: WaitTimeoutError}


Model = Annotated[str, typer.Argument(help="A model of your definition.")]
Spine = Annotated[
    str,
    typer.Option(
        metavar="PLACE",
        help=(
            "Parquet with the model's request fields and its moment: a file or a folder, here "
            "or s3://."
        ),
    ),
]
OutPlace = Annotated[
    str,
    typer.Option(
        "--out",
        metavar="PLACE",
        help="Folder of the scores, here or s3://; only with --table it may be left out.",
    ),
]
HiveTable = Annotated[
    str, typer.Option("--table", help="Also a table of the metastore: database.table.")
]
At = Annotated[
    str,
    typer.Option(
        help="The moment of rows without one; default: now, the time of the newest epoch."
    ),
]
ModelDigest = Annotated[
    str, typer.Option(help="Another model than the promoted one: its digest, or its beginning.")
]
WithFeatures = Annotated[
    bool, typer.Option("--features", help="Also write the features, as one column.")
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Fail when a row is bad, and write nothing.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace earlier scores at this place.")
]


def score_spine(
    model: Model,
    spine: Spine,
    out_place: OutPlace = "",
    hive_table: HiveTable = "",
    at: At = "",
    model_digest: ModelDigest = "",
    features: WithFeatures = False,  # noqa: FBT002
    strict: Strict = False,  # noqa: FBT002
    overwrite: Overwrite = False,  # noqa: FBT002
    data: Data = DEFAULT_DATA,
    json: Json = False,  # noqa: FBT002
) -> None:
    """Score every row of a table as of its own moment, exactly as serving would have answered it
    from the newest epoch; by Spark, beside a running mesh.
    """
    extras.require(["batch", "train"])
    request = ScoreRequest(
        model=model,
        spine=spine,
        out=out_place,
        table=hive_table,
        at=at,
        model_digest=model_digest,
        features=features,
        strict=strict,
        overwrite=overwrite,
    )
    _print(process_answer(request, running.mesh(data)), json=json)


def _print(answer: ScoreAnswer, *, json: bool) -> None:
    manifest = manifest_of(answer)
    if json:
        as_json({"out": answer.out, **msgspec.structs.asdict(manifest)})
    else:
        show(answer, manifest)


def process_answer(request: ScoreRequest, mesh: running.Running) -> ScoreAnswer:
    """What a process of its own answers; raises what it met, of the same kind."""
    from deploy.local import batch_tool

    loud = bool(os.environ.get(TRACE))
    given = msgspec.json.encode(request)
    found = batch_tool.run(MODULE, given, mesh.settings, mesh.env, loud=loud)
    answer = msgspec.json.decode(found, type=ScoreAnswer)
    if answer.error:
        raise _KINDS.get(answer.code, MeshError)(answer.error)
    return answer


def manifest_of(answer: ScoreAnswer) -> ScoreManifest:
    """Of an answer without an error."""
    if answer.manifest is None:
        raise MeshError("the scoring process answered without a manifest: report it")
    return answer.manifest


def show(answer: ScoreAnswer, manifest: ScoreManifest) -> None:
    """For people: what was scored, from what, and what was not."""
    out.print(table(("", answer.out), _rows(answer, manifest)))
    if manifest.bad_rows:
        note(f"[yellow]{manifest.bad_rows} bad rows[/] are in {shown(answer.out)}/_bad_rows:")
        for line in answer.bad:
            note(f"  {shown(line)}")


def _rows(answer: ScoreAnswer, manifest: ScoreManifest) -> list[tuple[str, object]]:
    seconds = sum(answer.seconds.values())
    return [
        ("rows", f"{manifest.rows} of {manifest.spine_rows}"),
        ("release", manifest.origin.release),
        ("digest", manifest.digest[:16]),
        ("seconds", f"{seconds:.1f}, Spark's start not counted"),
        *([("table", manifest.table)] if manifest.table else []),
    ]
