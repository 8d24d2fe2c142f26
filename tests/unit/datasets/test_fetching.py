"""A set's files are here whole, as they were published, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.events import FileRef, TrainingSetPublished
from tests.unit.datasets.sets import written
from twinstream.datasets.catalogue import PublishedSet, chosen_set
from twinstream.datasets.fetching import fetched
from twinstream.datasets.stored_set import Dataset
from twinstream.errors import ObjectMissingError, SettingsError, TrainingSetCorruptError
from twinstream.protocol import training_manifest


class Store:
    """Objects in memory."""

    def __init__(self, folder: Path) -> None:
        self.objects = {f"s3://w/set/{path.name}": path.read_bytes() for path in folder.iterdir()}
        self.downloads = 0

    def get_uri(self, uri: str, _version: str | None = None) -> bytes:
        if uri not in self.objects:
            raise ObjectMissingError(uri)
        return self.objects[uri]

    def download(self, uri: str, path: Path, version: str | None = None) -> None:
        self.downloads += 1
        path.write_bytes(self.get_uri(uri, version))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    written(tmp_path / "published")
    return Store(tmp_path / "published")


def event_of(store: Store, **changes: Any) -> TrainingSetPublished:
    manifest = training_manifest.decode(store.objects["s3://w/set/manifest.json"])
    event = TrainingSetPublished(
        model=manifest.model,
        epoch=manifest.epoch,
        files=[
            FileRef(uri=f"s3://w/set/{file.name}", sha256=file.sha256) for file in manifest.files
        ],
        columns=[column.name for column in manifest.columns],
        digest=manifest.digest,
        rows=manifest.rows,
        first_at_us=manifest.first_at_us,
        last_at_us=manifest.last_at_us,
        statistics_uri="s3://w/set/statistics.json",
        definition_digest=manifest.definition_digest,
    )
    return msgspec.structs.replace(event, **changes)


def fetch(store: Store, place: Path, event: TrainingSetPublished | None = None) -> Path:
    return fetched(event or event_of(store), store, place)  # type: ignore[arg-type]


def test_what_was_published_is_fetched_once(store: Store, tmp_path: Path) -> None:
    place = tmp_path / "data" / "here"
    found = Dataset(fetch(store, place))
    assert found.to_table().equals(Dataset(tmp_path / "published").to_table())
    before = store.downloads
    fetch(store, place)
    assert store.downloads == before
    assert list(place.parent.iterdir()) == [place]


def test_what_is_there_and_not_whole_is_fetched_again(store: Store, tmp_path: Path) -> None:
    place = fetch(store, tmp_path / "data" / "here")
    (place / "manifest.json").unlink()
    assert Dataset(fetch(store, place)).to_table().num_rows == 1000


def test_of_two_who_fetch_at_once_both_find_it(store: Store, tmp_path: Path) -> None:
    place = tmp_path / "data" / "here"
    download, others = store.download, [1]

    def slow(uri: str, path: Path, version: str | None = None) -> None:
        if others:
            others.pop()
            fetch(store, place)
        download(uri, path, version)

    store.download = slow  # type: ignore[method-assign]
    assert fetch(store, place) == place
    assert list(place.parent.iterdir()) == [place]


@pytest.mark.parametrize("name", ["manifest.json", "statistics.json", "part-00002.parquet"])
def test_a_set_that_is_not_kept_any_more_is_told_and_leaves_nothing(
    store: Store, tmp_path: Path, name: str
) -> None:
    event = event_of(store)
    del store.objects[f"s3://w/set/{name}"]
    with pytest.raises(ObjectMissingError, match="not kept any more"):
        fetch(store, tmp_path / "data" / "here", event)
    assert list((tmp_path / "data").iterdir()) == []


def test_other_bytes_than_were_published_are_refused(store: Store, tmp_path: Path) -> None:
    store.objects["s3://w/set/part-00002.parquet"] += b"x"
    with pytest.raises(TrainingSetCorruptError, match="part-00002"):
        fetch(store, tmp_path / "here")


@pytest.mark.parametrize("change", [{"digest": "6" * 64}, {"files": []}])
def test_the_manifest_of_another_set_is_refused(
    store: Store, tmp_path: Path, change: dict[str, Any]
) -> None:
    with pytest.raises(TrainingSetCorruptError, match="of another set"):
        fetch(store, tmp_path / "here", event_of(store, **change))


def test_a_manifest_that_is_none_is_refused(store: Store, tmp_path: Path) -> None:
    event = event_of(store)
    store.objects["s3://w/set/manifest.json"] = b"{"
    with pytest.raises(TrainingSetCorruptError, match="not the manifest"):
        fetch(store, tmp_path / "here", event)


def sets(store: Store) -> list[PublishedSet]:
    named = [("aaaa1", 1), ("aaaa2", 2), ("aaaa2", 3), ("bbbb", 4)]
    events = [event_of(store, digest=digest, epoch=epoch) for digest, epoch in named]
    return [PublishedSet(event=event) for event in events]


@pytest.mark.parametrize(
    ("which", "epoch"), [("", 4), ("2", 2), ("aaaa2", 3), ("bbbb", 4), ("aaaa1", 1)]
)
def test_a_set_is_named_by_its_epoch_or_its_digest(store: Store, which: str, epoch: int) -> None:
    assert chosen_set(sets(store), "will-buy", which).event.epoch == epoch


@pytest.mark.parametrize(("which", "why"), [("aaaa", "several"), ("9", "none"), ("bbb", "none")])
def test_an_unclear_name_is_told(store: Store, which: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        chosen_set(sets(store), "will-buy", which)
    with pytest.raises(SettingsError, match="seal an epoch first"):
        chosen_set([], "will-buy", "")
