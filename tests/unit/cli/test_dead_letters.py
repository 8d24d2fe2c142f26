"""Dead letters as users see them: nothing is too odd to be listed, filters mean what they say."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from schemas.topics import dead_letter, record_sent
from tests.unit.mesh.fakes import Message
from twinstream import Int, Source, String, Timestamp
from twinstream.cli.dead_letters import Wanted, _cells, moment_us, row
from twinstream.cli.replaying import keyed, origin_of_letter
from twinstream.cli.show import shown
from twinstream.errors import RecordError, SettingsError
from twinstream.mesh.dead_letter_reader import Letter, LetterId, letter_of
from twinstream.protocol.record_key import key_of
from twinstream.protocol.replay import Door


@dataclass
class Written(Message):
    at_ms: int = 1_700_000_000_000

    def timestamp(self) -> tuple[int, int]:
        return 1, self.at_ms


def letter(at: int = 7, value: bytes = b"{", service: str = "ingest", **facts: bytes) -> Letter:
    head = [
        (f"dead_letter_{name}" if not name.startswith(("x_", "original_")) else name, text)
        for name, text in facts.items()
    ]
    return letter_of(Written(data=value, at=at, of=dead_letter(service), head=head))


RECORD = {
    "topic": record_sent("visits").encode(),
    "partition": b"2",
    "offset": b"41",
    "reason": b"at: no time",
    "kind": b"permanent",
    "x_source": b"visits",
}


def test_a_letter_says_what_it_is_of() -> None:
    found = letter(key=b"\x00k", original_h=b"\xff", **RECORD)
    assert str(found.id) == "ingest/0/7"
    assert found.origin == "client.record-sent.visits.v1[2]@41"
    assert (found.key, found.carried, found.size) == (b"\x00k", [("h", b"\xff")], 1)
    assert (origin_of_letter(found).partition, origin_of_letter(found).source) == (2, "visits")


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"reason": b"\xff\x00\x1b[31m[bold][/]"},
        {"partition": b"x", "offset": b"", "bytes": b"-5"},
        {"bytes": b"9" * 400},
        {"topic": b"[/]" * 9},
        {"partition": "²".encode(), "bytes": "²".encode()},
    ],
)
def test_nothing_is_too_odd_to_be_listed(facts: dict[str, bytes]) -> None:
    found = letter(**facts)
    line = row(found, "")
    assert line["id"] == "ingest/0/7"
    assert all("\x1b" not in cell for cell in _cells(line))
    assert origin_of_letter(found).partition == -1


def test_two_letters_of_one_input_have_one_place() -> None:
    first, again = letter(7, **RECORD), letter(8, **RECORD)
    assert first.place == again.place
    other = {**RECORD, "offset": b"42"}
    assert first.place != letter(9, **other).place
    assert first.place != letter(9, service="predict", **RECORD).place
    files = [letter(7, x_uri=uri, **RECORD).place for uri in (b"s3://raw/a", b"s3://raw/b")]
    assert files[0] != files[1]
    assert letter(1).place != letter(2).place


def test_an_id_is_read_as_it_is_written() -> None:
    where = LetterId("preprocess", 0, 123)
    assert LetterId.parse(str(where)) == where
    for text in (
        "",
        "ingest",
        "ingest/0",
        "ingest/0/-1",
        "ingest/0/²",
        "nobody/0/1",
        "ingest/0/1/2",
        "ingest/0/" + "9" * 30,
    ):
        with pytest.raises(SettingsError, match="SERVICE/PARTITION/OFFSET"):
            LetterId.parse(text)


@pytest.mark.parametrize(
    ("wanted", "held"),
    [
        (Wanted(), True),
        (Wanted(reason="no time"), True),
        (Wanted(reason="No time"), False),
        (Wanted(source="visits"), True),
        (Wanted(source="orders"), False),
        (Wanted(kind="bug"), False),
        (Wanted(origin="record-sent"), True),
        (Wanted(since_us=1_700_000_000_000_000), True),
        (Wanted(until_us=1_700_000_000_000_000), False),
    ],
)
def test_a_filter_holds_what_it_says(wanted: Wanted, held: bool) -> None:
    assert wanted.holds(letter(**RECORD)) is held


def test_a_service_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SettingsError, match="ingest, preprocess"):
        Wanted(service="ingset")


def test_times_are_read_and_refused() -> None:
    assert moment_us("1970-01-01T01:00:00+01:00") == 0
    assert moment_us("1970-01-02") == 86_400_000_000
    for text in ("", "yesterday", "²", "0001-01-01T00:00:00+23:00", "10000-01-01"):
        try:
            moment_us(text)
        except SettingsError as error:
            assert "is not a time" in str(error)  # noqa: PT017


def test_a_terminal_gets_no_command_from_a_letter() -> None:
    assert shown("a\x1b]0;x\x07[red]") == "a\\x1b]0;x\\x07\\[red]"


def test_a_corrected_record_is_keyed_as_every_sender_keys_it() -> None:
    source = Source(
        "meters",
        id="id",
        key="meter",
        event_time="at",
        fields={"id": String(), "meter": Int(), "at": Timestamp()},
    )
    pipeline: Any = SimpleNamespace(source=lambda _: source)
    for text in (b'{"meter": 10}', b'{"meter": 10.0}', b'{"meter": "x"}', b"{}"):
        record = msgspec.json.decode(text)
        found = Door(topic=record_sent("meters"), value=text, source="meters")
        assert keyed(pipeline, found) == key_of(source, record)
    with pytest.raises(RecordError, match="not a JSON object"):
        keyed(pipeline, Door(topic="t", value=b"[]", source="meters"))
