"""What an arrival of files leads to."""

import hashlib
import io
from collections.abc import Iterator
from typing import BinaryIO

import msgspec
import pytest

from ingest_svc.file_check import FileRefusedError, format_of
from ingest_svc.handlers import handle_data_arrived, handle_epoch_seal_requested, pin_of
from schemas.events import DataArrived, EpochSealRequested, FileRef
from twinstream import Int, Source, String, Timestamp
from twinstream.define.records import Decoder
from twinstream.errors import MeshError, ObjectMissingError

SOURCE = Source("orders", id="order", key="order", event_time="at", fields={"order": String(), "at": Timestamp(), "items": Int(optional=True)})
DECODERS = {"orders": Decoder(SOURCE)}
LINE = b'{"order":"1","at":1700000000000000}\n'


class Head(msgspec.Struct, frozen=True):
    size_bytes: int
    version_id: str


class Shelf:
    """Objects in memory, each in version "v1"."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = {f"s3://b/{name.replace('_', '.')}": data for name, data in objects.items()}

    def _get(self, uri: str, version: str) -> bytes:
        if uri not in self.objects or version not in {"", "v1"}:
            raise ObjectMissingError(f"{uri} is not there")
        return self.objects[uri]

    def head(self, uri: str, version_id: str) -> Head:
        return Head(len(self._get(uri, version_id)), "v1")

    def chunks(self, uri: str, version_id: str) -> Iterator[bytes]:
        data = self._get(uri, version_id)
        yield from (data[i : i + 7] for i in range(0, len(data), 7))

    def open(self, uri: str, version_id: str, size_bytes: int) -> BinaryIO:
        assert size_bytes == len(self._get(uri, version_id))
        return io.BytesIO(self._get(uri, version_id))


def file(uri: str, sha256: str = "", version_id: str = "") -> FileRef:
    return FileRef(uri=uri, sha256=sha256, version_id=version_id)


def arrive(shelf: Shelf, *files: FileRef, source: str = "orders", form: str = "", known=frozenset()):
    return handle_data_arrived(DataArrived(source=source, files=list(files), format=form), DECODERS, shelf, set(known), 7)


def test_a_file_is_pinned_by_version_and_digest_when_the_event_names_neither() -> None:
    found = arrive(Shelf(a_jsonl=LINE * 3), file("s3://b/a.jsonl"))
    (accepted,) = found.accepted
    assert accepted.file == FileRef(
        uri="s3://b/a.jsonl", sha256=hashlib.sha256(LINE * 3).hexdigest(), version_id="v1", size_bytes=len(LINE) * 3, rows=3)
    assert (accepted.format, accepted.accepted_at_us, found.refused) == ("jsonl", 7, [])


def test_a_file_is_accepted_once_when_it_comes_again() -> None:
    shelf, one = Shelf(a_jsonl=LINE), file("s3://b/a.jsonl")
    first = arrive(shelf, one, one)
    assert (len(first.accepted), first.repeated) == (1, 1)
    again = arrive(shelf, one, known={pin_of(first.accepted[0].file)})
    assert (again.accepted, again.repeated) == ([], 1)


@pytest.mark.parametrize(("bad", "reason"), [
    (file("s3://b/none.jsonl"), "not there"),
    (file("s3://b/a.jsonl", version_id="v2"), "not there"),
    (file("s3://b/a.jsonl", sha256="00"), "SHA-256"),
    (file("s3://b/a.txt"), "format 'txt'"),
    (file("s3://b/other.jsonl"), "none of the first 1 lines"),
    (file("s3://b/a.parquet"), "no parquet file"),
    (file("s3://b/a.csv"), "at"),
])
def test_a_bad_file_is_refused_with_its_reason_and_the_good_one_beside_it_is_accepted(bad: FileRef, reason: str) -> None:
    shelf = Shelf(a_jsonl=LINE, a_txt=LINE, other_jsonl=b"{}\n", a_parquet=b"PAR1 not", a_csv=b"order,items\n1,2\n", good_jsonl=LINE)
    found = arrive(shelf, bad, file("s3://b/good.jsonl"))
    assert [a.file.uri for a in found.accepted] == ["s3://b/good.jsonl"]
    ((uri, why),) = found.refused
    assert uri == bad.uri
    assert reason in why


def test_an_arrival_of_an_unknown_source_is_refused() -> None:
    assert "nobody" in arrive(Shelf(), file("s3://b/a.csv"), source="nobody").refused[0][1]


def test_a_service_that_does_not_answer_is_no_refusal() -> None:
    class Away(Shelf):
        def head(self, uri: str, version_id: str) -> Head:
            raise MeshError("S3 does not answer")

    with pytest.raises(MeshError, match="does not answer"):
        arrive(Away(), file("s3://b/a.csv"))


def test_the_format_comes_from_the_event_or_the_extension() -> None:
    assert [format_of("s3://b/x.PARQUET", ""), format_of("s3://b/x", "ndjson"), format_of("s3://b/x.csv", "json")] == ["parquet", "jsonl", "jsonl"]
    with pytest.raises(FileRefusedError):
        format_of("s3://b.c/x", "")


def test_an_earlier_seal_request_does_not_take_a_later_one_back() -> None:
    assert handle_epoch_seal_requested(EpochSealRequested(epoch=2), 5) == 5
