"""Whether a trained model could answer now: asked before anything is decided about it."""

from __future__ import annotations

from twinstream.cli.model_book import SHORT, Candidate, Found
from twinstream.cli.model_changes import Desk
from twinstream.errors import MeshError, PermanentError, SettingsError


def check_files(desk: Desk, found: Candidate) -> Found:
    """The event that names a model which could answer now; raises MeshError with the reason why it
    could not, before anything is decided.
    """
    from twinstream.mesh.object_store import ObjectStore
    from twinstream.nn.scorer import load_scorer

    named, definition = _ours(desk, found), desk.pipeline.digest
    network = desk.pipeline.model(desk.book.model).network
    try:
        load_scorer(ObjectStore(desk.mesh.settings), named, network, definition)
    except PermanentError as error:
        short = found.digest[:SHORT]
        raise MeshError(f"model {short} cannot answer, nothing is changed: {error}") from error
    return named


def _ours(desk: Desk, found: Candidate) -> Found:
    """The event that names a model of this definition; raises SettingsError."""
    named, definition = found.named, desk.pipeline.digest
    if named is None:
        raise SettingsError(f"{found.digest[:80]} names no trained model")
    if named.definition_digest != definition:
        raise SettingsError(
            f"model {found.digest[:SHORT]} was made for definition "
            f"{named.definition_digest[:SHORT]}, this mesh serves {definition[:SHORT]}: train again"
        )
    return named
