"""What ingest's ports over the topics of one source do, on a real broker."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest_svc.adapters.kafka_raw import KafkaRaw
from ingest_svc.adapters.kafka_seals import KafkaSeals
from ingest_svc.adapters.kafka_tail import KafkaTail
from ingest_svc.adapters.kafka_tails import KafkaTails
from ingest_svc.log_state import LogState
from ingest_svc.ports import Place, RawRecords, SealRequests, Tails
from ingest_svc.settings import IngestSettings
from schemas.events import EpochSealRequested
from schemas.packs import BARRIER, PackHeader, encode_pack
from schemas.topics import records_accepted
from tests.integration.ingest_rig import Rig, order, wait_for
from twinstream.mesh.dead_letters import DeadLetters
from twinstream.mesh.events import EventPublisher
from twinstream.mesh.settings import MeshSettings

pytestmark = pytest.mark.engine
KNOBS = IngestSettings(session_ms=6000)


@pytest.fixture
def rig(kafka_settings: MeshSettings, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(kafka_settings, {}, tmp_path)
    yield made
    made.close()


def place_of(rig: Rig, partition: int = 0) -> Place:
    return Place(rig.source.name, partition)


def reading(rig: Rig, opened: Callable[[Place], int], closed: list[Place]) -> KafkaRaw:
    """A worker of its own group."""
    return KafkaRaw(
        rig.settings,
        KNOBS,
        f"contract-{rig.source.name}",
        "one",
        [rig.source.name],
        opened=opened,
        closed=closed.extend,
        stopping=threading.Event(),
    )


def read(raws: RawRecords, count: int) -> dict[Place, list[tuple[int, bytes | None]]]:
    """So many records, as they come by place: (offset, value)."""
    found: dict[Place, list[tuple[int, bytes | None]]] = {}

    def more() -> bool:
        for place, given in raws.poll():
            pairs = zip(given.offsets.tolist(), given.values, strict=True)
            found.setdefault(place, []).extend(pairs)
        return sum(map(len, found.values())) >= count

    wait_for(more, f"{count} raw records")
    return found


def test_raw_records_come_in_order_from_where_each_place_was_opened(rig: Rig) -> None:
    """Of RawRecords."""
    sent = [order(number) for number in range(40)]
    for partition in range(rig.settings.partitions):
        rig.send(sent, partition=partition)
    closed: list[Place] = []
    raws = reading(rig, lambda place: 5 if place.partition == 0 else 0, closed)
    found = read(raws, 35 + 40 * (rig.settings.partitions - 1))
    for partition in range(rig.settings.partitions):
        first = 5 if partition == 0 else 0
        assert found[place_of(rig, partition)] == list(enumerate(sent))[first:]
        assert raws.lag(place_of(rig, partition), 40) == 0
        assert raws.lag(place_of(rig, partition), 30) == 10
    raws.rewind(place_of(rig), 38)
    assert read(raws, 2) == {place_of(rig): [(38, sent[38]), (39, sent[39])]}
    raws.close()
    assert {place.partition for place in closed} <= set(range(rig.settings.partitions))


def test_tails_say_where_a_place_stands(rig: Rig) -> None:
    """Of Tails."""
    tails: Tails = KafkaTails(KafkaTail(rig.settings), {rig.source.name: rig.source}, KNOBS)
    here, other = place_of(rig, 0), place_of(rig, 1)
    assert tails.raw_range(here) == (0, 0)
    state, ids = tails.log(here)
    assert (state, len(ids)) == (LogState(), 0)
    rig.send([order(number) for number in range(3)], partition=0)
    assert tails.raw_range(here) == (0, 3)
    process = rig.start()
    rig.wait_covered()
    assert rig.stop(process) == 0
    state, ids = tails.log(here)
    assert (state.raw_high, state.epoch, len(ids)) == (2, 1, 3)
    assert tails.log(other)[0] == LogState()
    header = PackHeader(kind=BARRIER, epoch=1, rows=0, raw_first=0, raw_last=-1, raw_high=2)
    EventPublisher(rig.settings, "/tests").publish_raw(
        records_accepted(rig.source.name), encode_pack(header, None), None, [], partition=0
    )
    sealed, _ = tails.log(here)
    assert (sealed.epoch, sealed.barrier.raw_high) == (2, 2)
    assert sealed.next_offset == state.next_offset + 1


def test_tails_know_what_is_a_dead_letter_already(rig: Rig) -> None:
    """Of Tails: only what lies beyond the log, in the place that is asked about."""
    tails: Tails = KafkaTails(KafkaTail(rig.settings), {rig.source.name: rig.source}, KNOBS)
    letters = DeadLetters(rig.settings, "ingest")
    for partition, offset in ((0, 1), (0, 4), (0, 6), (1, 5)):
        letters.put(b"x", "bad", topic=rig.topic, partition=partition, offset=offset)
    beyond = LogState(raw_high=3)
    assert tails.dead_letters(place_of(rig, 0), beyond) == {4, 6}
    assert tails.dead_letters(place_of(rig, 1), beyond) == {5}


def test_each_reader_gets_every_seal_request_once(kafka_settings: MeshSettings) -> None:
    """Of SealRequests; one that no epoch can follow is refused."""
    refused: list[Any] = []

    def refuse(message: Any, reason: str, **_: object) -> None:
        refused.append(reason)

    first: SealRequests = KafkaSeals(kafka_settings, refuse)
    before = polled(first)
    publisher = EventPublisher(kafka_settings, "/tests")
    publisher.publish(EpochSealRequested(epoch=1), key="seal")
    publisher.publish(EpochSealRequested(epoch=9_999), key="seal")
    publisher.publish(EpochSealRequested(epoch=1), key="seal")
    before += polled(first)
    assert [event.epoch for event in before[-2:]] == [1, 1]
    assert "9999" in refused[-1]
    assert first.poll() == []
    again: SealRequests = KafkaSeals(kafka_settings, refuse)
    assert len(polled(again)) == len(before)


def polled(seals: SealRequests) -> list[Any]:
    """All that there is by now."""
    found: list[Any] = []
    quiet = 0

    def still() -> bool:
        nonlocal quiet
        given = seals.poll()
        found.extend(given)
        quiet = 0 if given else quiet + 1
        return quiet > 40

    wait_for(still, "nothing more")
    return found
