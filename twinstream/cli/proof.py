"""`audit` and `rebuild`: the laws, checked on a running mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from twinstream.cli import running
from twinstream.cli.options import DEFAULT_DATA, Data, Json
from twinstream.cli.show import as_json, note, out, table
from twinstream.errors import MeshError

if TYPE_CHECKING:
    from twinstream.audit.another_model import Otherwise
    from twinstream.audit.rebuild import Rebuilt


def audit(
    data: Data = DEFAULT_DATA,
    plain_one_in: Annotated[
        int,
        typer.Option(
            "--plain-one-in",
            min=1,
            help=(
                "One key in so many is folded by the plain oracle, the others by the compiled "
                "kernel; 1: all, slowly."
            ),
        ),
    ] = 16,
    json: Json = False,  # noqa: FBT002
) -> None:
    """Compare every key of every view with a from-scratch fold of everything, byte for byte;
    exit with 1 when one differs.
    """
    from twinstream.audit.compare import audit as compare

    mesh = running.mesh(data)
    found = compare(mesh.settings, mesh.addresses["predict"], plain_one_in=plain_one_in)
    if json:
        as_json(found)
    else:
        out.print(
            table(
                ("view", "keys", "different"),
                [(v, n, found.different_by_view.get(v, 0)) for v, n in found.by_view.items()],
            )
        )
        note(
            f"{found.different} of {found.compared} keys differ from a from-scratch fold "
            "of everything"
        )
        note(
            f"{found.plain_different} of {found.plain_compared} answers of some keys "
            "differ from the naive way"
        )
    if found.different or found.plain_different:
        raise MeshError("views and fold differ, which is a bug: keep the data folder and report it")


def rebuild(
    prediction_id: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="The id of an answer, or of one of its rows (ID-0, ID-1, ...)."
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            "--model",
            metavar="DIGEST",
            help="Say as well what this model would have answered (the beginning of its digest).",
        ),
    ] = "",
    data: Data = DEFAULT_DATA,
    json: Json = False,  # noqa: FBT002
) -> None:
    """Compute a prediction again from what its views had seen and the model that answered;
    exit with 1 when a bit differs.
    """
    from twinstream.audit.another_model import otherwise
    from twinstream.audit.rebuild import rebuild as again

    settings = running.mesh(data).settings
    found = again(settings, prediction_id)
    other = otherwise(settings, found, model) if model else None
    if json:
        as_json(_facts(found, other))
    else:
        _show(found, other)
    if not found.same:
        raise MeshError(
            "the prediction could not be rebuilt: are CPU family and library versions "
            "those of the model's config.json?"
        )


def _facts(found: Rebuilt, other: Otherwise | None) -> dict[str, Any]:
    served = found.served
    facts = {
        "id": served.id,
        "same": found.same,
        "differing": found.differing,
        "output": {"served": served.output, "rebuilt": found.output},
        "features_digest": {
            "served": found.served_digest,
            "rebuilt": found.features_digest,
        },
        "release": str(served.release),
    }
    if served.shadow is not None:
        facts["shadow"] = {"served": served.shadow.output, "rebuilt": found.shadow}
    if other is not None:
        facts["other"] = {"model_digest": other.model_digest, "output": other.output}
    return facts


def _show(found: Rebuilt, other: Otherwise | None) -> None:
    served = found.served
    rows = [
        ("features", found.served_digest[:16], found.features_digest[:16]),
        ("score", served.output, found.output),
        *((name, *both) for name, both in found.differing.items()),
    ]
    if served.shadow is not None:
        rows.append(("score of the candidate", served.shadow.output, found.shadow))
    out.print(table(("", "served", "rebuilt"), rows))
    same = "the same to the byte" if found.same else "DIFFERENT"
    note(f"{served.id}, release {served.release}: {same}")
    if other is not None:
        note(f"model {other.model_digest[:12]} would have said {other.output}")
