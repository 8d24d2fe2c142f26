"""A set's files in a local folder, each as its event pins it: whole, or not there."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import msgspec

from schemas.events import FileRef, TrainingSetPublished
from twinstream.datasets.catalogue import SHORT, chosen_set, published_sets
from twinstream.errors import ObjectMissingError, SettingsError, TrainingSetCorruptError
from twinstream.mesh.object_store import ObjectStore, sha256_of
from twinstream.protocol import training_manifest, training_statistics
from twinstream.protocol.training_manifest import TrainingManifest

FOLDER = "datasets"
"""Of the data folder: what was fetched stays there until somebody deletes it."""
NO_DOCUMENT = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)
DOCUMENTS = (training_statistics.FILE_NAME, training_manifest.FILE_NAME)


def of_mesh(
    model: str,
    which: str,
    data: Path,
) -> Path:
    """The folder of a set of the mesh, fetched now unless it is there."""
    from twinstream.cli import running

    mesh = running.mesh(data)
    name = mesh.pipeline().model(model).name
    event = chosen_set(published_sets(mesh.settings, [name]), name, which).event
    place = Path(mesh.settings.data) / FOLDER / name / event.digest
    return fetched(event, ObjectStore(mesh.settings), place)


def fetched(
    event: TrainingSetPublished,
    store: ObjectStore,
    place: Path,
) -> Path:
    """The files of a set in this folder. Raises ObjectMissingError when they are not kept any more,
    TrainingSetCorruptError when they are others than the event says.
    """
    if is_whole(place):
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=place.parent))
    try:
        _fetch(event, store, new)
        _move(new, place)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return place


def _move(new: Path, place: Path) -> None:
    """To where nobody else was faster; what is there and not whole goes."""
    if not is_whole(place):
        shutil.rmtree(place, ignore_errors=True)
    try:
        new.rename(place)
    except OSError:
        if not is_whole(place):
            raise


def is_whole(place: Path) -> bool:
    """Whether a set lies there."""
    return (place / training_manifest.FILE_NAME).is_file()


def manifest_at(place: Path) -> TrainingManifest:
    """What the folder of a set says of it. Raises SettingsError for a folder of something else."""
    path = place / training_manifest.FILE_NAME
    try:
        manifest = training_manifest.decode(path.read_bytes())
    except FileNotFoundError:
        raise SettingsError(f"{place} holds no training set: there is no {path.name}") from None
    except NO_DOCUMENT as error:
        raise _no_manifest(path, error) from None
    for file in manifest.files:
        _check_size(place / file.name, file.size_bytes)
    return manifest


def _check_size(
    path: Path,
    size_bytes: int,
) -> None:
    found = path.stat().st_size if path.is_file() else 0
    if found != size_bytes:
        raise TrainingSetCorruptError(
            f"{path} has {found} bytes, its manifest says {size_bytes}: delete the folder, "
            "and get the set again"
        )


def published_manifest(
    event: TrainingSetPublished,
    store: ObjectStore,
) -> TrainingManifest:
    """What was published beside a set's files; raises as `fetched`."""
    uri = _beside(event, training_manifest.FILE_NAME)
    try:
        found = training_manifest.decode(store.get_uri(uri))
    except ObjectMissingError as error:
        raise ObjectMissingError(_gone(event)) from error
    except NO_DOCUMENT as error:
        raise _no_manifest(uri, error) from error
    if not _fits(found, event):
        raise TrainingSetCorruptError(f"{uri} is of another set than {event.digest[:SHORT]}")
    return found


def _fits(
    manifest: TrainingManifest,
    event: TrainingSetPublished,
) -> bool:
    """Whether a manifest is of the set that an event pins."""
    pinned = [(_name_of(file), file.sha256) for file in event.files]
    listed = [(file.name, file.sha256) for file in manifest.files]
    return (manifest.digest, listed) == (event.digest, pinned)


def _no_manifest(
    where: object,
    error: Exception,
) -> TrainingSetCorruptError:
    return TrainingSetCorruptError(f"{where} is not the manifest of a training set: {error}")


def _fetch(
    event: TrainingSetPublished,
    store: ObjectStore,
    folder: Path,
) -> None:
    published_manifest(event, store)
    try:
        for file in event.files:
            _fetch_file(file, store, folder)
        for name in DOCUMENTS:
            store.download(_beside(event, name), folder / name)
    except ObjectMissingError as error:
        raise ObjectMissingError(_gone(event)) from error


def _fetch_file(
    file: FileRef,
    store: ObjectStore,
    folder: Path,
) -> None:
    """Raises TrainingSetCorruptError when it is another one than the event pins."""
    path = folder / _name_of(file)
    store.download(file.uri, path, file.version_id or None)
    if sha256_of(path) != file.sha256:
        raise TrainingSetCorruptError(f"{file.uri} has other bytes than its event says")


def _name_of(file: FileRef) -> str:
    return file.uri.rsplit("/", 1)[1]


def _beside(
    event: TrainingSetPublished,
    name: str,
) -> str:
    """The URI of a document of a set."""
    return f"{event.statistics_uri.rsplit('/', 1)[0]}/{name}"


def _gone(event: TrainingSetPublished) -> str:
    return (
        f"training set {event.digest[:SHORT]} of {event.model} (epoch {event.epoch}) is not kept "
        "any more, or was published by an older version: seal an epoch, and take its set"
    )
