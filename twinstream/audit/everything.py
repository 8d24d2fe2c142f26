"""Reads all that a source ever had, files and log, as plain records in the order that the laws give
them.
"""

# Deliberately slow and direct: the audit's own writing of the total order and of who counts. It
# shares the byte forms and the cleaning with the mesh.

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from confluent_kafka import Consumer

from schemas import packs, topics
from schemas.events import FileAccepted, ViewPublished
from twinstream.audit.files import decode_file
from twinstream.define.records import Decoded, Decoder
from twinstream.mesh.kafka.positions import partitions, range_of
from twinstream.mesh.kafka.spans import AT_ONCE, Span, messages

if TYPE_CHECKING:
    from twinstream.define import Source
    from twinstream.mesh.object_store import ObjectStore
    from twinstream.mesh.settings import MeshSettings

POLL_SECONDS = 10.0


class Known(msgspec.Struct, frozen=True):
    """One record, its place in the total order, and where it came from (`log_partition` -1:
    a file).
    """

    record: dict[str, object]
    position: int
    id: bytes
    epoch: int
    known_us: int
    log_partition: int = -1
    log_offset: int = -1
    file_seq: int = -1


def log_messages(settings: MeshSettings, topic: str) -> Iterator[tuple[int, int, bytes]]:
    """(partition, offset, value) of all messages that a topic holds now."""
    consumer = Consumer(settings.kafka_client(group_id="twinstream-audit") | AT_ONCE)
    try:
        for partition in partitions(consumer, topic, POLL_SECONDS):
            span = Span(*range_of(consumer, topic, partition, POLL_SECONDS))
            for message in messages(consumer, {(topic, partition): span}, POLL_SECONDS):
                yield partition, message.offset(), message.value()
    finally:
        consumer.close()


def log_records(settings: MeshSettings, source: Source) -> Iterator[Known]:
    """All rows of the log that count, in log order: a row counts when its raw offset is beyond all
    before it.
    """
    high: dict[int, int] = defaultdict(lambda: -1)
    epoch: dict[int, int] = defaultdict(lambda: 1)
    for partition, offset, value in log_messages(settings, topics.records_accepted(source.name)):
        header = packs.log_header(value)
        if header is packs.NOTHING:
            continue
        if header.kind == packs.BARRIER:
            epoch[partition] = max(epoch[partition], header.epoch + 1)
            continue
        for row in packs.decode_rows(value, source.pack_schema).to_pylist():
            if row[packs.RAW] > high[partition]:
                high[partition] = row[packs.RAW]
                yield _live(source, row, epoch[partition], partition, offset)
        high[partition] = max(high[partition], header.raw_last)


def _live(
    source: Source,
    row: dict[str, Any],
    epoch: int,
    partition: int,
    offset: int,
) -> Known:
    """A row of a pack, whose own columns it loses."""
    raw, known_us = row.pop(packs.RAW), row.pop(packs.KNOWN)
    position = (partition << 44) | raw
    return Known(row, position, _id(source, row), epoch, known_us, partition, offset)


def file_records(
    store: ObjectStore,
    source: Source,
    keys: list[tuple[str, ...]],
    files: Mapping[int, FileAccepted],
    counts: dict[int, int],
) -> Iterator[Known]:
    """All good rows of these accepted files, by number.

    `keys`: the keys of the source's views; `counts[e]`: how many files (of all sources) epoch e and
    those before it hold; those of no epoch are not read.
    """
    decoder = Decoder(source, keys)
    for seq, accepted in sorted(files.items()):
        if accepted.source != source.name:
            continue
        epoch = min((e for e, count in counts.items() if seq < count), default=None)
        if epoch is None:
            continue  # no epoch has taken it yet: whether it can be read is not known
        data = store.get_uri(accepted.file.uri, accepted.file.version_id or None)
        yield from _filed(source, decode_file(decoder, data, accepted.format), seq, epoch)


def _filed(
    source: Source,
    decoded: Decoded,
    seq: int,
    epoch: int,
) -> Iterator[Known]:
    """The good rows of file `seq`."""
    for row, number in zip(decoded.batch.to_pylist(), decoded.index.tolist(), strict=True):
        position = -(1 << 62) + (seq << 32) + number
        known_us = row[source.known_at or source.event_time]
        yield Known(row, position, _id(source, row), epoch, known_us, file_seq=seq)


def _id(source: Source, row: dict[str, object]) -> bytes:
    return repr(tuple(row[name] for name in source.id_fields)).encode()


def without_duplicates(known: list[Known], at_epoch: int) -> list[Known]:
    """What counts once epoch `at_epoch` has landed, and all live rows after it:
    the audit's own writing of `protocol.who_counts`.
    """
    live, filed = _first_live(known), _first_filed(known)

    def came_live(k: Known) -> bool:
        return k.id in live and (k.id not in filed or live[k.id] <= filed[k.id][0])

    return [
        k
        for k in known
        if (k.file_seq < 0 and (k.epoch > at_epoch or came_live(k)))
        or (k.file_seq >= 0 and not came_live(k) and (k.epoch, k.position) == filed[k.id])
    ]


def _first_live(known: list[Known]) -> dict[bytes, int]:
    """The first epoch in which each id came live."""
    first: dict[bytes, int] = {}
    for k in known:
        if k.file_seq < 0:
            first[k.id] = min(k.epoch, first.get(k.id, k.epoch))
    return first


def _first_filed(known: list[Known]) -> dict[bytes, tuple[int, int]]:
    """The first epoch and position at which each id came in a file."""
    first: dict[bytes, tuple[int, int]] = {}
    for k in known:
        if k.file_seq >= 0:
            place = (k.epoch, k.position)
            first[k.id] = min(place, first.get(k.id, place))
    return first


def seen_at(
    known: list[Known],
    epoch: int,
    log: dict[int, int],
) -> list[Known]:
    """What a serving view at the base of `epoch` and at these log offsets has seen."""
    return [
        k
        for k in without_duplicates(known, epoch)
        if (k.epoch <= epoch if k.file_seq >= 0 else k.log_offset <= log.get(k.log_partition, -1))
    ]


def counts_of(published: list[ViewPublished]) -> dict[int, int]:
    """Per epoch, how many accepted files it and those before it hold."""
    return {p.epoch: p.file_count for p in published}
