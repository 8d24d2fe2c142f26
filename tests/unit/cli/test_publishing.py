"""What `publish --wait` says of a file: accepted, accepted before, or dead-lettered;
never another source's or version's outcome.
"""

from __future__ import annotations

import msgspec
import pytest

from schemas.events import DataArrived, FileAccepted, FileRef
from schemas.topics import dead_letter, topic_of
from tests.unit.mesh.fakes import Message
from twinstream.cli.records import _summary, outcome_of, repeated_by
from twinstream.mesh.events import Place

URI = "s3://raw/orders/a.csv"
PLACE = Place(topic_of(DataArrived), 0, 7)


def acceptance(source: str = "orders", version: str = "v1", sha256: str = "d") -> Message:
    event = FileAccepted(
        source=source,
        file=FileRef(uri=URI, sha256=sha256, version_id=version),
        format="csv",
        accepted_at_us=1,
    )
    return Message(
        data=msgspec.json.encode(event),
        of=topic_of(FileAccepted),
        head=[("ce_type", b"FileAccepted")],
    )


@pytest.mark.parametrize(
    ("ref", "before", "found"),
    [
        (FileRef(uri=URI, sha256="", version_id="v1"), acceptance(), URI),
        (FileRef(uri=URI, sha256="", version_id="v2"), acceptance(), ""),
        (FileRef(uri=URI, sha256="", version_id="v1"), acceptance(source="visits"), ""),
        (FileRef(uri=URI, sha256="d"), acceptance(version=""), URI),
        (FileRef(uri=URI, sha256=""), acceptance(version=""), ""),
        (
            FileRef(uri=URI, sha256="", version_id="v1"),
            Message(data=b"\xff", of=topic_of(FileAccepted)),
            "",
        ),
    ],
)
def test_a_repeat_is_the_same_version_of_the_same_source(
    ref: FileRef, before: Message, found: str
) -> None:
    assert repeated_by(before, "orders", {URI: ref}) == found


def test_an_outcome_is_that_of_this_arrival_alone() -> None:
    assert outcome_of(acceptance(), PLACE, "orders", {URI}) == {URI: "accepted"}
    assert outcome_of(acceptance(source="visits"), PLACE, "orders", {URI}) == {}
    letter = Message(
        of=dead_letter("ingest"),
        head=[
            ("dead_letter_topic", PLACE.topic.encode()),
            ("dead_letter_partition", b"0"),
            ("dead_letter_offset", b"7"),
            ("dead_letter_reason", b"not there"),
            ("x_uri", URI.encode()),
        ],
    )
    assert outcome_of(letter, PLACE, "orders", {URI}) == {URI: "not there"}
    assert outcome_of(letter, PLACE._replace(offset=8), "orders", {URI}) == {}


def test_a_summary_names_repeats() -> None:
    assert (
        _summary({"a": "accepted", "b": "repeated", "c": "not there"})
        == "1 accepted, 1 accepted before, which count once, 1 dead-lettered"
    )
    assert _summary({"a": "accepted"}) == "1 accepted, 0 dead-lettered"
