"""A replay goes through the door that the original came by."""

from __future__ import annotations

import msgspec
import pytest

from schemas.events import DataArrived, FileRef
from schemas.topics import partials_folded, record_sent, records_accepted, topic_of
from twinstream.errors import RecordError
from twinstream.protocol.replay import Door, Origin, door

SOURCES = {"visits", "orders"}
RAW = record_sent("visits")
ARRIVED = topic_of(DataArrived)


def test_a_record_goes_back_to_its_partition_where_its_id_is_known() -> None:
    origin = Origin(topic=RAW, partition=3, key=b"k", headers=[("h", b"\xff")], source="visits")
    assert door(origin, b"\xff{", SOURCES, corrected=False) == Door(
        topic=RAW, value=b"\xff{", partition=3, key=b"k", headers=[("h", b"\xff")]
    )


def test_a_corrected_record_goes_where_its_key_says() -> None:
    found = door(Origin(topic=RAW, partition=3, key=b"old"), b"{}", SOURCES, corrected=True)
    assert (found.partition, found.key, found.source) == (-1, None, "visits")


def test_an_arrival_comes_back_for_the_refused_file_alone() -> None:
    files = [FileRef(uri=f"s3://raw/{name}", sha256="d", version_id="v") for name in "abc"]
    event = DataArrived(source="visits", files=files, format="csv", arrived_at_us=7)
    origin = Origin(
        topic=ARRIVED,
        partition=0,
        uri="s3://raw/b",
        source="visits",
        headers=[("ce_type", b"DataArrived")],
    )
    found = door(origin, msgspec.json.encode(event), SOURCES, corrected=False)
    assert msgspec.json.decode(found.value, type=DataArrived) == msgspec.structs.replace(
        event, files=[files[1]]
    )
    assert found.headers == origin.headers


def test_a_row_of_a_file_comes_back_as_a_live_record() -> None:
    origin = Origin(topic="s3://raw/a.jsonl", partition=9, source="orders")
    assert door(origin, b'{"x": 1}', SOURCES, corrected=False) == Door(
        topic=record_sent("orders"), value=b'{"x": 1}', source="orders"
    )


@pytest.mark.parametrize(
    ("origin", "original", "said"),
    [
        (Origin(topic="s3://raw/a.csv", partition=9, source="orders"), b"1,2,3", "--with FILE"),
        (Origin(topic="s3://raw/a.csv", partition=9, source="gone"), b"{}", "does not have"),
        (
            Origin(topic="s3://raw/a.csv", partition=9, source="orders", uri="s3://raw/a.csv"),
            b"",
            "twinstream publish",
        ),
        (Origin(topic=ARRIVED, partition=0, uri="s3://raw/b"), b"\xff", "twinstream publish"),
        (Origin(topic=records_accepted("visits"), partition=0), b"", "cannot be replayed"),
        (Origin(topic=partials_folded("v"), partition=0), b"", "cannot be replayed"),
        (Origin(topic="", partition=-1), b"", "from nowhere"),
    ],
)
def test_what_has_no_door_is_said_with_the_way_out(
    origin: Origin, original: bytes, said: str
) -> None:
    with pytest.raises(RecordError, match=said):
        door(origin, original, SOURCES, corrected=False)
