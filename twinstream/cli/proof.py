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
    from twinstream.audit.compare import Audit
    from twinstream.audit.rebuild import Rebuilt


PlainOneIn = Annotated[
    int,
    typer.Option(
        "--plain-one-in",
        min=1,
        help=(
            "One key in so many is folded by the plain oracle, the others by the compiled "
            "kernel; 1: all, slowly."
        ),
    ),
]
PredictionId = Annotated[
    str,
    typer.Argument(
        metavar="ID", help="The id of an answer, or of one of its rows (ID-0, ID-1, ...)."
    ),
]
OtherModel = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="DIGEST",
        help="Say as well what this model would have answered (the beginning of its digest).",
    ),
]


def audit(
    data: Data = DEFAULT_DATA,
    plain_one_in: PlainOneIn = 16,
    json: Json = False,  # noqa: FBT002
) -> None:
    """Compare every key of every view with a from-scratch fold of everything, byte for byte;
    exit with 1 when one differs.
    """
    from twinstream.audit.compare import audit as compare

    mesh = running.mesh(data)
    found = compare(mesh.settings, mesh.addresses["predict"], plain_one_in=plain_one_in)
    as_json(found) if json else _show_audit(found)
    if found.different or found.plain_different:
        raise MeshError("views and fold differ, which is a bug: keep the data folder and report it")


def _show_audit(found: Audit) -> None:
    rows = [(v, n, found.different_by_view.get(v, 0)) for v, n in found.by_view.items()]
    out.print(table(("view", "keys", "different"), rows))
    note(
        f"{found.different} of {found.compared} keys differ from a from-scratch fold of everything"
    )
    note(
        f"{found.plain_different} of {found.plain_compared} answers of some keys "
        "differ from the naive way"
    )


def rebuild(
    prediction_id: PredictionId,
    model: OtherModel = "",
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
    as_json(_facts(found, other)) if json else _show(found, other)
    if not found.same:
        raise MeshError(
            "the prediction could not be rebuilt: are CPU family and library versions "
            "those of the model's config.json?"
        )


def _facts(found: Rebuilt, other: Otherwise | None) -> dict[str, Any]:
    served = found.served
    return {
        "id": served.id,
        "same": found.same,
        "differing": found.differing,
        "output": {"served": served.output, "rebuilt": found.output},
        "features_digest": {"served": found.served_digest, "rebuilt": found.features_digest},
        "release": str(served.release),
        **_facts_of_others(found, other),
    }


def _facts_of_others(found: Rebuilt, other: Otherwise | None) -> dict[str, Any]:
    """Of the candidate that was asked beside what served, and of the model that is asked for."""
    facts = dict[str, Any]()
    if found.served.shadow is not None:
        facts["shadow"] = {"served": found.served.shadow.output, "rebuilt": found.shadow}
    if other is not None:
        facts["other"] = {"model_digest": other.model_digest, "output": other.output}
    return facts


def _show(found: Rebuilt, other: Otherwise | None) -> None:
    served = found.served
    out.print(table(("", "served", "rebuilt"), _rows(found)))
    same = "the same to the byte" if found.same else "DIFFERENT"
    note(f"{served.id}, release {served.release}: {same}")
    if other is not None:
        note(f"model {other.model_digest[:12]} would have said {other.output}")


def _rows(found: Rebuilt) -> list[tuple[object, ...]]:
    served = found.served
    rows: list[tuple[object, ...]] = [
        ("features", found.served_digest[:16], found.features_digest[:16]),
        ("score", served.output, found.output),
        *((name, *both) for name, both in found.differing.items()),
    ]
    if served.shadow is not None:
        rows.append(("score of the candidate", served.shadow.output, found.shadow))
    return rows
