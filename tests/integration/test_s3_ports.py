"""What the ports over S3 do: on a real S3 server, and on the fakes that stand for it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pyarrow.parquet as pq
import pytest

from ingest_svc.adapters.s3_objects import S3Objects
from schemas.events import FileRef, ModelPromoted, TrainingSetPublished
from tests.unit.api.fakes import model_files
from tests.unit.ingest.test_files import Shelf
from tests.unit.train.fakes import Kept, Sets
from tests.unit.train.material import learnable, published, shop, statistics
from tests.unit.view.world import LocalObjects
from train_svc.adapters.s3_models import S3Models
from train_svc.adapters.s3_training_sets import S3TrainingSets
from train_svc.ports import TrainingSet
from twinstream.errors import ObjectMissingError
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.ranged_file import RangedFile
from twinstream.mesh.settings import MeshSettings
from twinstream.nn import TabularNetwork

pytestmark = pytest.mark.engine
DATA = bytes(range(256)) * 1000


@pytest.fixture(params=["fake", "s3"])
def shelf(request: pytest.FixtureRequest) -> tuple[Any, str]:
    """Objects of ingest, and the URI of one that holds DATA."""
    if request.param == "fake":
        return Shelf(data_bin=DATA), "s3://bkt/data.bin"
    settings: MeshSettings = request.getfixturevalue("mesh_settings")
    store = ObjectStore(settings)
    uri = f"s3://{settings.raw_bucket}/data.bin"
    store.put_uri(uri, DATA)
    return S3Objects(store), uri


def test_objects_are_read_whole_in_parts_and_in_their_version(shelf: tuple[Any, str]) -> None:
    """Of ingest's Objects."""
    objects, uri = shelf
    head = objects.head(uri, "")
    assert head.size_bytes == len(DATA)
    assert head.version_id
    for version in ("", head.version_id):
        assert b"".join(objects.chunks(uri, version)) == DATA
        with objects.open(uri, version, head.size_bytes) as file:
            assert file.seek(1000) == 1000
            assert file.read(10) == DATA[1000:1010]
            file.seek(-3, 2)
            assert file.read() == DATA[-3:]
            file.seek(0)
            assert file.read() == DATA


def test_a_missing_object_is_said_to_be_missing(shelf: tuple[Any, str]) -> None:
    objects, uri = shelf
    gone = uri.replace("data", "gone")
    with pytest.raises(ObjectMissingError):
        objects.head(gone, "")
    with pytest.raises(ObjectMissingError):
        b"".join(objects.chunks(gone, ""))


def test_ranges_are_parts_of_an_object_and_end_with_it(mesh_settings: MeshSettings) -> None:
    """Of Ranges, as RangedFile asks for them, and of the Objects that models are fetched from."""
    store = ObjectStore(mesh_settings)
    uri = f"s3://{mesh_settings.raw_bucket}/ranged.bin"
    version = store.put_uri(uri, DATA)
    store.put_uri(uri, b"newer")
    assert store.range_uri(uri, 5, 3, version) == DATA[5:8]
    assert store.range_uri(uri, len(DATA) - 2, 2, version) == DATA[-2:]
    assert RangedFile(store, uri, len(DATA), version).readall() == DATA
    assert (store.get_uri(uri), store.get_uri(uri, version)) == (b"newer", DATA)
    with pytest.raises(ObjectMissingError):
        store.range_uri(f"{uri}.gone", 0, 1)
    with pytest.raises(ObjectMissingError):
        store.get_uri(f"{uri}.gone")


@pytest.mark.parametrize("kind", ["fake", "s3"])
def test_base_files_are_brought_whole_or_not_at_all(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Of BaseFiles."""
    path = tmp_path / "brought"
    if kind == "fake":
        files: Any = LocalObjects()
        uri = str(tmp_path / "there")
        Path(uri).write_bytes(DATA)
    else:
        settings = request.getfixturevalue("mesh_settings")
        files = ObjectStore(settings)
        uri = f"s3://{settings.bucket}/there"
        files.put_uri(uri, DATA)
    files.download(uri, path)
    assert path.read_bytes() == DATA
    path.unlink()
    with pytest.raises((ObjectMissingError, OSError)):
        files.download(f"{uri}-gone", path)
    assert not path.exists()


@pytest.mark.parametrize("kind", ["fake", "s3"])
def test_a_saved_model_is_loaded_in_the_versions_of_its_event(
    kind: str, request: pytest.FixtureRequest
) -> None:
    """Of Models."""
    digest, files = model_files(3)
    if kind == "fake":
        models: Any = Kept()
    else:
        settings = request.getfixturevalue("mesh_settings")
        models = S3Models(ObjectStore(settings), settings.model_bucket, "shop")
    stored = models.save("will-buy", digest, files)
    models.save("will-buy", digest, files)
    assert stored.uri.endswith(digest)
    promoted = ModelPromoted(
        model="will-buy",
        model_digest=digest,
        uri=stored.uri,
        version_ids=stored.version_ids,
        definition_digest="",
        metrics={},
    )
    loaded = models.load(promoted, TabularNetwork)
    assert set(loaded.network.state_dict()) > set()
    other = msgspec.structs.replace(promoted, model_digest="0" * 64)
    with pytest.raises((ValueError, KeyError)):
        models.load(other, TabularNetwork)


def on_s3(settings: MeshSettings, table: Any) -> tuple[S3TrainingSets, TrainingSetPublished]:
    store = ObjectStore(settings)
    folder = f"s3://{settings.bucket}/set-{uuid4().hex}"
    refs = []
    for number, part in enumerate((table.slice(0, 7), table.slice(7))):
        data = BytesIO()
        pq.write_table(part, data)
        uri = f"{folder}/{number}.parquet"
        store.put_uri(uri, data.getvalue())
        refs.append(FileRef(uri=uri, sha256=hashlib.sha256(data.getvalue()).hexdigest()))
    store.put_uri(f"{folder}/s", msgspec.json.encode(statistics(shop(), table)))
    event = published(shop(), table, files=tuple(refs), uri=f"{folder}/s")
    return S3TrainingSets(store), event


def means(fitted: dict[str, Any]) -> dict[str, float]:
    return {name: each["mean"] for name, each in fitted["numeric"].items()}


@pytest.mark.parametrize("kind", ["fake", "s3"])
def test_a_training_set_is_the_rows_of_its_event(kind: str, request: pytest.FixtureRequest) -> None:
    """Of TrainingSets."""
    table = learnable(shop(), rows=20)
    made: dict[str, Callable[[], Any]] = {
        "fake": lambda: (
            Sets(TrainingSet(table, statistics(shop(), table))),
            published(shop(), table),
        ),
        "s3": lambda: on_s3(request.getfixturevalue("mesh_settings"), table),
    }
    sets, event = made[kind]()
    found = sets.read(event)
    assert found.table.num_rows == event.rows == 20
    assert found.table.select(list(event.columns)).equals(table.select(list(event.columns)))
    assert means(found.statistics) == means(statistics(shop(), table))
