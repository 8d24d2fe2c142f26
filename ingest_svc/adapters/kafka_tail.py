"""Reads the end of a topic's partition: where a log stands, which ids it holds lately,
what was dead-lettered already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import pyarrow as pa
from confluent_kafka import Consumer

from ingest_svc.adapters.kafka_notes import CRITICAL, note
from ingest_svc.dedupe import RecentIds
from ingest_svc.log_state import LogState, state_of
from schemas.packs import KNOWN, RAW, decode_rows, log_header
from twinstream.define.record_keys import key_text
from twinstream.define.source import Source
from twinstream.mesh.kafka.errors import MESSAGE_BYTES
from twinstream.mesh.kafka.positions import Range, at_time, range_of
from twinstream.mesh.kafka.spans import AT_ONCE, Span, messages
from twinstream.mesh.settings import MeshSettings

BOUND_S = 30.0


class KafkaTail:
    """Reads single partitions from an offset to their present end."""

    def __init__(self, settings: MeshSettings) -> None:
        self._settings = settings
        self._consumer = self._connected()

    def _connected(self) -> Consumer:
        return Consumer(
            {
                "log_level": CRITICAL,
                "error_cb": note,
                **self._settings.kafka_client(
                    group_id="ingest-tail",
                    fetch_wait_max_ms=10,
                    fetch_message_max_bytes=MESSAGE_BYTES,
                    reconnect_backoff_max_ms=500,
                ),
                **AT_ONCE,
            }
        )

    def renew(self) -> None:
        """Connect anew: after a broker's restart an old client may be answered FENCED_LEADER_EPOCH
        for ever.
        """
        self._consumer.close()
        self._consumer = self._connected()

    def ends(self, topic: str, partition: int) -> Range:
        """First offset and the one after the last."""
        return range_of(self._consumer, topic, partition, BOUND_S)

    def offset_at(
        self,
        topic: str,
        partition: int,
        time_us: int,
    ) -> int | None:
        """The first offset with a Kafka timestamp at or after a time; None when there is none."""
        place = (topic, partition)
        return at_time(self._consumer, [place], time_us // 1000, BOUND_S)[place]

    def read(
        self,
        topic: str,
        partition: int,
        start: int,
        end: int,
    ) -> Iterator[Any]:
        """Messages of [start, end)."""
        return messages(self._consumer, {(topic, partition): Span(start, end)}, BOUND_S)

    def close(self) -> None:
        self._consumer.close()


Messages = Callable[[int, int], Iterable[tuple[int, bytes | None]]]
"""Gives (offset, value) of a log partition from one offset up to before another."""


class TailSpan(NamedTuple):
    """Offsets of a log: ids are taken from `start` on; messages from `first` on tell how far raw
    records were covered there.
    """

    first: int
    start: int
    end: int


def log_tail(
    tail: KafkaTail,
    topic: str,
    partition: int,
    source: Source,
    *,
    messages: int,
    ids: int,
) -> tuple[LogState, RecentIds]:
    """Where a log partition stands, and the ids that its rows within the dedupe horizon have.

    The Kafka timestamp of a log message is the known time of its newest row, so that the horizon is
    found without a search.
    """

    def between(start: int, end: int) -> Iterable[tuple[int, bytes | None]]:
        return ((m.offset(), m.value()) for m in tail.read(topic, partition, start, end))

    low, end = tail.ends(topic, partition)
    horizon = _newest_us(between(max(low, end - messages), end)) - source.dedupe_us
    found = tail.offset_at(topic, partition, horizon) if source.dedupe_us and end > low else end
    start = max(low, min(end - messages, end if found is None else found))
    return restored(between, TailSpan(max(low, start - messages), start, end), source, horizon, ids)


def _newest_us(messages: Iterable[tuple[int, bytes | None]]) -> int:
    """The known time of the newest row in the last messages of a log partition."""
    return state_of((offset, log_header(value)) for offset, value in messages).known_max_us


def restored(
    between: Messages,
    span: TailSpan,
    source: Source,
    horizon_us: int,
    ids: int,
) -> tuple[LogState, RecentIds]:
    """Where a log partition stands, and the ids of its rows within the span and the horizon that
    count.

    A row that lost to an earlier writer must not mark its id as seen, or a good record would be
    dropped long after the horizon.
    """
    recent, state = RecentIds(source.dedupe_us, ids), LogState(next_offset=span.end)
    for offset, value in between(span.first, span.end):
        header, covered = log_header(value), state.raw_high
        state = state.after(offset, header)
        if value is None or offset < span.start or not header.rows:
            continue
        if header.raw_last > covered and header.known_max_us >= horizon_us:
            rows = _rows_beyond(covered, value, source)
            known_us = rows.column(KNOWN).to_numpy()
            recent.restore(key_text(rows, source.id_fields), known_us, header.known_max_us)
    return state, recent


def _rows_beyond(
    covered: int,
    value: bytes,
    source: Source,
) -> pa.RecordBatch:
    """The rows of a pack that no earlier one covers."""
    rows = decode_rows(value, source.pack_schema)
    return rows.filter(pa.array(rows.column(RAW).to_numpy() > covered))


def dead_letter_offsets(
    tail: KafkaTail,
    topic: str,
    raw_topic: str,
    partition: int,
    state: LogState,
) -> set[int]:
    """Raw offsets beyond the log that were dead-lettered already:
    their covering pack was lost with the process that wrote them.
    """
    low, end = tail.ends(topic, 0)
    start = tail.offset_at(topic, 0, state.written_us - 60_000_000) if state.written_us else low
    key = f"{raw_topic}/{partition}".encode()
    letters = tail.read(topic, 0, end if start is None else start, end)
    offsets = {_offset_of(letter) for letter in letters if letter.key() == key}
    return {offset for offset in offsets if offset > state.raw_high}


def _offset_of(letter: Any) -> int:
    """Of its original; -1 where its headers do not say."""
    return int(dict(letter.headers() or ()).get("dead_letter_offset", b"-1"))
