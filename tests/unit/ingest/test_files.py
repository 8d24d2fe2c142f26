"""What an arrival of files leads to."""

import hashlib
import io
from collections.abc import Iterator
from typing import BinaryIO

import msgspec
import pytest

from ingest_svc.file_check import Allowed, FileRefusedError, format_of, prefixes_of
from ingest_svc.handlers import handle_data_arrived, handle_epoch_seal_requested, pin_of
from schemas.events import DataArrived, EpochSealRequested, FileRef
from twinstream import Int, Source, String, Timestamp
from twinstream.define.records import Decoder
from twinstream.errors import ObjectMissingError, ObjectRefusedError, StorageUnavailableError

SOURCE = Source(
    "orders",
    id="order",
    key="order",
    event_time="at",
    fields={"order": String(), "at": Timestamp(), "items": Int(optional=True)},
)
DECODERS = {"orders": Decoder(SOURCE)}
ALLOWED = Allowed({"*": ("s3://bkt/",)}, 1 << 30)
LINE = b'{"order":"1","at":1700000000000000}\n'


class Head(msgspec.Struct, frozen=True):
    size_bytes: int
    version_id: str


class Shelf:
    """Objects in memory, each in version "v1"."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = {
            f"s3://bkt/{name.replace('_', '.')}": data for name, data in objects.items()
        }

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


def arrive(
    shelf: Shelf, *files: FileRef, source: str = "orders", form: str = "", known=frozenset()
):
    return handle_data_arrived(
        DataArrived(source=source, files=list(files), format=form),
        DECODERS,
        shelf,
        allowed=ALLOWED,
        known=set(known),
        now_us=7,
    )


def test_a_file_is_pinned_by_version_and_digest_when_the_event_names_neither() -> None:
    found = arrive(Shelf(a_jsonl=LINE * 3), file("s3://bkt/a.jsonl"))
    (accepted,) = found.accepted
    assert accepted.file == FileRef(
        uri="s3://bkt/a.jsonl",
        sha256=hashlib.sha256(LINE * 3).hexdigest(),
        version_id="v1",
        size_bytes=len(LINE) * 3,
        rows=3,
    )
    assert (accepted.format, accepted.accepted_at_us, found.refused) == ("jsonl", 7, [])


def test_a_file_is_accepted_once_when_it_comes_again() -> None:
    shelf, one = Shelf(a_jsonl=LINE), file("s3://bkt/a.jsonl")
    first = arrive(shelf, one, one)
    assert (len(first.accepted), first.repeated) == (1, 1)
    again = arrive(shelf, one, known={pin_of("orders", first.accepted[0].file)})
    assert (again.accepted, again.repeated) == ([], 1)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (file("s3://bkt/none.jsonl"), "not there"),
        (file("s3://bkt/a.jsonl", version_id="v2"), "not there"),
        (file("s3://bkt/a.jsonl", sha256="00"), "SHA-256"),
        (file("s3://bkt/a.txt"), "format 'txt'"),
        (file("s3://bkt/other.jsonl"), "none of the first 1 lines"),
        (file("s3://bkt/a.parquet"), "not a parquet file"),
        (file("s3://bkt/a.csv"), "at"),
    ],
)
def test_a_bad_file_is_refused_with_its_reason_and_the_good_one_beside_it_is_accepted(
    bad: FileRef, reason: str
) -> None:
    shelf = Shelf(
        a_jsonl=LINE,
        a_txt=LINE,
        other_jsonl=b"{}\n",
        a_parquet=b"PAR1 not",
        a_csv=b"order,items\n1,2\n",
        good_jsonl=LINE,
    )
    found = arrive(shelf, bad, file("s3://bkt/good.jsonl"))
    assert [a.file.uri for a in found.accepted] == ["s3://bkt/good.jsonl"]
    ((uri, why),) = found.refused
    assert uri == bad.uri
    assert reason in why


def test_an_arrival_of_an_unknown_source_is_refused() -> None:
    assert "nobody" in arrive(Shelf(), file("s3://bkt/a.csv"), source="nobody").refused[0][1]


def test_a_service_that_does_not_answer_is_no_refusal() -> None:
    class Away(Shelf):
        def head(self, uri: str, version_id: str) -> Head:
            raise StorageUnavailableError("S3 does not answer")

    with pytest.raises(StorageUnavailableError, match="does not answer"):
        arrive(Away(), file("s3://bkt/a.csv"))


def test_the_format_comes_from_the_event_or_the_extension() -> None:
    assert [
        format_of("s3://bkt/x.PARQUET", ""),
        format_of("s3://bkt/x", "ndjson"),
        format_of("s3://bkt/x.csv", "json"),
    ] == ["parquet", "jsonl", "jsonl"]
    with pytest.raises(FileRefusedError):
        format_of("s3://bkt.c/x", "")


def test_an_earlier_seal_request_does_not_take_a_later_one_back() -> None:
    assert handle_epoch_seal_requested(EpochSealRequested(epoch=2), 5) == 5


@pytest.mark.parametrize(
    "uri",
    [
        "http://bkt/a.csv",
        "file:///etc/passwd.csv",
        "s3://a b/x.csv",
        "s3://bkt/../x.csv",
        "s3://other/a.csv",
        "s3://",
        "",
        "s3://bkt/\x00.csv",
        "s3:///a.csv",
        "s3://BKT/a.csv",
        "s3://bkt2/a.csv",
        "s3://bkt/" + "k" * 2000 + ".csv",
    ],
)
def test_what_is_no_object_or_lies_elsewhere_is_refused_unread(uri: str) -> None:
    class Closed(Shelf):
        def head(self, uri: str, version_id: str) -> Head:
            raise AssertionError(f"{uri} was asked for")

    ((refused, _),) = arrive(Closed(), file(uri)).refused
    assert refused == uri


def test_prefixes_hold_by_source_and_end_at_a_slash() -> None:
    allowed = Allowed(prefixes_of("orders=s3://lake/in;*=s3://raw-b", "unused"), 1 << 30)
    allowed.check("orders", "s3://lake/in/a.csv")
    allowed.check("visits", "s3://raw-b/a.csv")
    for source, uri in (("visits", "s3://lake/in/a.csv"), ("orders", "s3://lake/inside/a.csv")):
        with pytest.raises(FileRefusedError, match="may lie"):
            allowed.check(source, uri)
    with pytest.raises(ObjectRefusedError):
        allowed.check("orders", "s3://lake/in/../out.csv")
    assert prefixes_of("", "raw-b") == {"*": ("s3://raw-b/",)}


def test_one_object_announced_for_two_sources_counts_for_both() -> None:
    shelf, one = Shelf(a_jsonl=LINE), file("s3://bkt/a.jsonl")
    known = {pin_of("orders", arrive(shelf, one).accepted[0].file)}
    found = handle_data_arrived(
        DataArrived(source="other", files=[one]),
        {"other": DECODERS["orders"]},
        shelf,
        allowed=ALLOWED,
        known=known,
        now_us=7,
    )
    assert (len(found.accepted), found.repeated) == (1, 0)


def test_a_file_beyond_the_limit_is_refused_before_it_is_read() -> None:
    small = Allowed(ALLOWED.prefixes, len(LINE) - 1)
    found = handle_data_arrived(
        DataArrived(source="orders", files=[file("s3://bkt/a.jsonl")]),
        DECODERS,
        Shelf(a_jsonl=LINE),
        allowed=small,
        known=set(),
        now_us=7,
    )
    assert "at most" in found.refused[0][1]


@pytest.mark.parametrize(
    "data",
    [
        LINE.decode().encode("utf-16"),
        b"\x1f\x8b\x08" + LINE,
        b"order;at\n1;2\n",
        b'"a\nb",order\n1,2\n',
    ],
)
def test_a_text_of_another_kind_is_refused_with_a_word(data: bytes) -> None:
    for name in ("a_csv", "a_jsonl"):
        found = arrive(Shelf(**{name: data}), file(f"s3://bkt/{name.replace('_', '.')}"))
        assert (found.accepted, len(found.refused)) == ([], 1)


@pytest.mark.parametrize(
    "data", [b"order,at", b"order,at\n", b"\xef\xbb\xbforder,at\r\n", b'order,at\n1,"2024']
)
def test_a_csv_that_is_empty_or_ends_within_a_quote_is_accepted(data: bytes) -> None:
    assert len(arrive(Shelf(a_csv=data), file("s3://bkt/a.csv")).accepted) == 1
