"""Law 4 on the pure core: crashes, overlapping writers and duplicates, in any interleaving,
change nothing in what the log counts.
"""

import json
from collections import deque
from functools import partial

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_svc.adapters.kafka_raw import beside
from ingest_svc.adapters.kafka_tail import TailSpan, restored
from ingest_svc.dedupe import RecentIds
from ingest_svc.lane import Lane
from ingest_svc.log_state import LogState, state_of
from ingest_svc.log_writer import Beside, LogMessage, LogWriter, OverlapError, Raws
from ingest_svc.ports import Place
from ingest_svc.validation import Screen
from schemas.events import EpochSealed
from schemas.packs import (
    BARRIER,
    KNOWN,
    PACK,
    RAW,
    PackHeader,
    decode_header,
    decode_rows,
    encode_pack,
)
from tests.unit.mesh.fakes import Message
from twinstream import Int, Source, String, Timestamp
from twinstream.define.records import Decoder

SOURCE = Source(
    "orders",
    id="order",
    key="buyer",
    event_time="at",
    dedupe="1h",
    fields={"order": String(), "buyer": String(), "at": Timestamp(), "items": Int(optional=True)},
)
SCREEN = Screen(Decoder(SOURCE, [("buyer",)]), record_bytes=400)
OUTSTANDING, TAIL = 3, 12


def record(order: str) -> bytes:
    return json.dumps(
        {"order": order, "buyer": f"b{order}", "at": 1_700_000_000_000_000, "items": len(order)}
    ).encode()


BAD = [
    b"{",
    b"[]",
    b"null",
    b'{"order":"1"}',
    b'{"order":"1","buyer":2,"at":1}',
    b'{"order":"1","buyer":null,"at":1}',
    None,
    record("x" * 500),
    json.dumps({"order": "1", "buyer": "b" * 390, "at": "never"}).encode(),
    b"\xff\xfe",
]


class Log:
    """One partition of a log, and what its writers told of it."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.dead_letters: dict[int, bytes] = {}
        self.sealed: list[EpochSealed] = []

    def between(self, start: int, end: int) -> list[tuple[int, bytes | None]]:
        return [(offset, self.messages[offset]) for offset in range(start, end)]

    def counted(self) -> list[tuple[int, str]]:
        high, rows = -1, []
        for data in self.messages:
            header = decode_header(data)
            if header.kind != BARRIER:
                batch = decode_rows(data, SOURCE.pack_schema).to_pylist()
                assert all(header.raw_first <= row[RAW] <= header.raw_last for row in batch)
                rows += [(row[RAW], row["order"]) for row in batch if row[RAW] > high]
                high = max(high, header.raw_last)
        return rows

    def barriers(self) -> dict[int, tuple[int, int]]:
        """By the readers' rule: the barrier of the current epoch ends it."""
        epoch, high, found = 1, -1, {}
        for offset, data in enumerate(self.messages):
            header = decode_header(data)
            if header.kind == BARRIER and header.epoch == epoch:
                found[epoch], epoch = (offset, high), epoch + 1
            high = max(high, header.raw_last)
        return found


class Worker:
    """A lane without Kafka: what it sends stays in flight until the test lets it arrive."""

    def __init__(
        self,
        log: Log,
        raw: list[bytes | None],
        clock: list[int],
        *,
        times: list[int] | None = None,
        source: Source = SOURCE,
    ) -> None:
        self.log, self.raw, self.clock, self.source = log, raw, clock, source
        self.times = np.array([0] * len(raw) if times is None else times, np.int64)
        self.flying: deque[LogMessage] = deque()
        self.open()

    def open(self) -> None:
        end = len(self.log.messages)
        tail = [(i, decode_header(self.log.messages[i])) for i in range(max(0, end - TAIL), end)]
        _, recent = restored(self.log.between, TailSpan(0, 0, end), self.source, -(1 << 62), 10**6)
        state = state_of(tail)
        writer = LogWriter(state, recent, SCREEN, SOURCE.pack_schema, pack_bytes=150)
        self.lane = Lane(
            Place("orders", 0),
            "raw",
            writer,
            {o for o in self.log.dead_letters if o > state.raw_high},
        )
        self.tell()

    def tell(self) -> None:
        sealed = self.lane.writer.confirmed.sealed("orders", 0, 0)
        if sealed:
            self.log.sealed.append(sealed)

    def pack(self, count: int) -> None:
        start = self.lane.next_raw
        values = self.raw[start : start + count]
        if not values or self.lane.waiting >= OUTSTANDING:
            return
        offsets = np.arange(start, start + len(values))
        packed = self.lane.writer.pack(
            Raws(offsets, self.times[start : start + count], values), self.clock[0]
        )
        for dead in self.lane.to_dead_letter(packed):
            self.log.dead_letters[dead.offset] = dead.value
        for message in packed.messages:
            self.lane.sent(message, 0)
            self.flying.append(message)

    def arrive(self) -> None:
        if not self.flying:
            return
        message = self.flying.popleft()
        self.log.messages.append(message.data)
        try:
            self.lane.confirmed(message.header, len(self.log.messages) - 1)
        except OverlapError:
            self.log.messages += [m.data for m in self.flying]
            self.crash()

    def crash(self) -> None:
        self.flying.clear()
        self.open()

    def seal(self) -> None:
        epoch = self.lane.writer.epoch
        message = self.lane.writer.barrier(self.clock[0])
        self.lane.sent(message, 0)
        self.flying.append(message)
        while self.flying:
            self.arrive()
        if self.lane.writer.epoch > epoch:
            self.tell()

    def drain(self) -> None:
        while self.lane.next_raw < len(self.raw) or self.flying:
            self.pack(50)
            self.arrive()


raws = st.lists(
    st.one_of(
        st.integers(0, 30).map(lambda i: record(f"o{i}")),
        st.integers(0, 10**6).map(lambda i: record(f"u{i}")),
        st.sampled_from(BAD),
    ),
    max_size=60,
)
acts = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(["pack", "pack", "arrive", "arrive", "arrive", "crash", "seal"]),
        st.integers(1, 9),
    ),
    max_size=80,
)


def good_and_bad(raw: list[bytes | None]) -> tuple[list[tuple[int, str]], set[int]]:
    seen: set[str] = set()
    good, bad = [], set()
    for offset, value in enumerate(raw):
        if value in BAD:
            bad.add(offset)
        elif (order := json.loads(value)["order"]) not in seen:
            seen.add(order)
            good.append((offset, order))
    return good, bad


@settings(max_examples=100, deadline=None)
@given(raw=raws, script=acts)
def test_log_counts_each_good_record_once_in_raw_order_when_writers_crash_and_overlap(
    raw, script
) -> None:
    log, clock = Log(), [1_000_000]
    workers = [Worker(log, raw, clock), Worker(log, raw, clock)]
    for who, act, count in script:
        clock[0] += count
        getattr(workers[who], act)(*([count] if act == "pack" else []))
    workers[0].crash()
    workers[0].drain()
    good, bad = good_and_bad(raw)
    assert log.counted() == good
    assert set(log.dead_letters) == bad
    assert all(log.dead_letters[offset] == (raw[offset] or b"") for offset in bad)


@settings(max_examples=100, deadline=None)
@given(raw=raws, script=acts)
def test_sealed_epochs_are_what_readers_of_the_log_see_when_writers_crash_and_overlap(
    raw, script
) -> None:
    log, clock = Log(), [1_000_000]
    workers = [Worker(log, raw, clock), Worker(log, raw, clock)]
    for who, act, count in script:
        clock[0] += count
        getattr(workers[who], act)(*([count] if act == "pack" else []))
    barriers = log.barriers()
    assert {s.epoch: (s.offset, s.raw_high) for s in log.sealed}.items() <= barriers.items()
    assert all((s.offset, s.raw_high) == barriers[s.epoch] for s in log.sealed)


HORIZON = 10
SHORT = Source(
    "orders", id="order", key="buyer", event_time="at", dedupe="10s", fields=SOURCE.fields
)
S = 1_000_000
arrivals = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 7)), max_size=50)


def first_within_horizon(ids: list[int], times: list[int]) -> list[tuple[int, str]]:
    """The plain rule: an id counts when it did not count at most ten seconds before."""
    last: dict[int, int] = {}
    counted = []
    for offset, (name, at) in enumerate(zip(ids, times, strict=True)):
        if name not in last or at - last[name] > HORIZON * S:
            last[name] = at
            counted.append((offset, f"o{name}"))
    return counted


@settings(max_examples=200, deadline=None)
@given(
    arrived=arrivals,
    script=acts,
    clocks=st.tuples(st.integers(1, 1 << 60), st.integers(1, 1 << 60)),
)
def test_which_ids_count_is_decided_by_the_broker_whoever_writes_with_whatever_clock(
    arrived, script, clocks
) -> None:
    ids, times = (
        [i for i, _ in arrived],
        np.cumsum([100 * S, *(pause * S for _, pause in arrived)])[1:].tolist(),
    )
    log = Log()
    workers = [
        Worker(log, [record(f"o{i}") for i in ids], [clock], times=times, source=SHORT)
        for clock in clocks
    ]
    for who, act, count in script:
        getattr(workers[who], act)(*([count] if act == "pack" else []))
    workers[0].crash()
    workers[0].drain()
    assert log.counted() == first_within_horizon(ids, times)
    known = {
        row[RAW]: row[KNOWN]
        for data in log.messages
        for row in decode_rows(data, SOURCE.pack_schema).to_pylist()
    }
    assert all(at == times[offset] for offset, at in known.items())


def test_a_row_that_lost_to_an_earlier_writer_does_not_mark_its_id_as_seen() -> None:
    """At 106 s a writer that did not know of the first X logged it again;
    another one had covered that record without it.
    """
    log = Log()

    def write(raw: int, known_s: int, rows: list[str]) -> None:
        batch = [
            {RAW: raw, KNOWN: known_s * S, "order": name, "buyer": "b", "at": 1, "items": None}
            for name in rows
        ]
        header = PackHeader(
            kind=PACK,
            epoch=1,
            rows=len(rows),
            raw_first=raw,
            raw_last=raw,
            raw_high=raw,
            known_max_us=known_s * S,
        )
        log.messages.append(
            encode_pack(header, pa.RecordBatch.from_pylist(batch, schema=SOURCE.pack_schema))
        )

    write(0, 95, ["X"])
    write(1, 100, [])  # writer A drops the repeat
    write(1, 106, ["X"])  # writer B does not, and loses
    state, recent = restored(log.between, TailSpan(0, 0, 3), SHORT, 0, 1000)
    writer = LogWriter(state, recent, SCREEN, SOURCE.pack_schema)
    packed = writer.pack(Raws(np.array([2]), np.array([112 * S]), [record("X")]), 1)
    assert (packed.rows, packed.duplicates) == (1, 0)
    assert state.known_max_us == 100 * S


def test_a_clock_that_is_years_ahead_moves_no_known_time() -> None:
    ahead = 36 * 365 * 86_400 * S
    writer = LogWriter(LogState(), RecentIds(10 * S), SCREEN, SOURCE.pack_schema)
    packed = writer.pack(
        Raws(np.arange(2), np.array([95 * S, 96 * S]), [record("1"), record("2")]), now_us=ahead
    )
    assert decode_rows(packed.messages[0].data, SOURCE.pack_schema).column(KNOWN).to_pylist() == [
        95 * S,
        96 * S,
    ]


def test_a_log_whose_time_was_moved_years_ahead_comes_back() -> None:
    writer = LogWriter(
        LogState(known_max_us=36 * 365 * 86_400 * S), RecentIds(10 * S), SCREEN, SOURCE.pack_schema
    )
    packed = writer.pack(Raws(np.arange(1), np.array([95 * S]), [record("1")]), now_us=1)
    assert packed.messages[0].header.known_max_us == 95 * S


def test_one_timestamp_ahead_moves_a_replay_no_more_than_its_own_record() -> None:
    day = 86_400 * S
    times = np.array([10, 11, 9_000, 12, 13]) * day
    writer = LogWriter(LogState(), RecentIds(day), SCREEN, SOURCE.pack_schema, replay=True)
    names = ["1", "2", "3", "1", "3"]
    packed = writer.pack(
        Raws(np.arange(5), times, [record(name) for name in names]), now_us=20_000 * day
    )
    rows = decode_rows(packed.messages[0].data, SOURCE.pack_schema)
    assert [at // day for at in rows.column(KNOWN).to_pylist()] == [10, 11, 9_000, 12, 13]
    assert packed.messages[0].header.known_max_us == 13 * day


def test_no_replayed_record_is_known_after_now() -> None:
    writer = LogWriter(LogState(), RecentIds(0), SCREEN, SOURCE.pack_schema, replay=True)
    packed = writer.pack(
        Raws(np.arange(2), np.array([50, 60]), [record("1"), record("2")]), now_us=55
    )
    assert decode_rows(packed.messages[0].data, SOURCE.pack_schema).column(KNOWN).to_pylist() == [
        50,
        55,
    ]


@given(raw=raws)
def test_messages_cover_all_raw_offsets_without_a_hole(raw) -> None:
    log = Log()
    Worker(log, raw, [1]).drain()
    headers = [decode_header(data) for data in log.messages]
    covered = [offset for h in headers for offset in range(h.raw_first, h.raw_last + 1)]
    assert covered == list(range(len(raw)))
    assert [h.raw_high for h in headers] == [h.raw_last for h in headers]


def test_known_times_follow_the_raw_timestamps_and_never_decrease_when_replaying() -> None:
    times = np.array([50, 40, 70, 60])
    writer = LogWriter(
        LogState(known_max_us=45), RecentIds(0), SCREEN, SOURCE.pack_schema, replay=True
    )
    packed = writer.pack(
        Raws(np.arange(4), times, [record(str(i)) for i in range(4)]), now_us=10**15
    )
    rows = decode_rows(packed.messages[0].data, SOURCE.pack_schema)
    assert rows.column(KNOWN).to_pylist() == [50, 50, 70, 70]
    assert packed.messages[0].header.known_max_us == 70


def test_raw_records_already_covered_are_passed_over() -> None:
    writer = LogWriter(LogState(raw_high=2), RecentIds(0), SCREEN, SOURCE.pack_schema)
    packed = writer.pack(
        Raws(np.arange(5), np.zeros(5, np.int64), [record(str(i)) for i in range(5)]), now_us=1
    )
    assert [(m.header.raw_first, m.header.raw_last, m.header.rows) for m in packed.messages] == [
        (3, 4, 2)
    ]
    assert (
        writer.pack(
            Raws(np.arange(5), np.zeros(5, np.int64), [record(str(i)) for i in range(5)]), now_us=1
        ).messages
        == []
    )


def test_the_highest_raw_offset_is_kept_when_a_paused_writer_appends_an_older_pack() -> None:
    log, raw, clock = Log(), [record(f"o{i}") for i in range(10)], [1]
    paused, quick = Worker(log, raw, clock), Worker(log, raw, clock)
    paused.pack(2)
    quick.drain()
    paused.arrive()
    assert decode_header(log.messages[-1]).raw_last < 9
    assert paused.lane.next_raw == 10
    paused.seal()
    assert log.sealed[-1].raw_high == 9


def test_what_was_dead_lettered_is_not_dead_letters_again_when_only_its_covering_pack_was_lost() -> (
    None
):
    log, raw = Log(), [record("1"), b"{", record("2"), b"["]
    Worker(log, raw, [1]).pack(2)
    assert set(log.dead_letters) == {1}
    again = Worker(log, raw, [1])
    packed = again.lane.writer.pack(Raws(np.arange(4), np.zeros(4, np.int64), raw), 1)
    assert [dead.offset for dead in again.lane.to_dead_letter(packed)] == [3]
    assert [p.offset for p in packed.dead_letters] == [1, 3]


def test_reasons_name_what_is_wrong() -> None:
    values = [record("x" * 500), None, b"{", record("ok")]
    packed = LogWriter(LogState(), RecentIds(0), SCREEN, SOURCE.pack_schema).pack(
        Raws(np.arange(4), np.zeros(4, np.int64), values), 1
    )
    reasons = {p.offset: p.reason for p in packed.dead_letters}
    assert packed.rows == 1
    assert "more than the 400" in reasons[0]
    assert "tombstone" in reasons[1]
    assert "JSON" in reasons[2]


def test_a_dead_letter_has_key_and_headers_of_its_record() -> None:
    group = [
        Message(at=offset, name=b"k%d" % offset, head=[("h", b"%d" % offset)])
        for offset in (3, 5, 6)  # a transaction's mark is at 4
    ]
    values = [record("a"), b"{", None]
    raws = Raws(np.array([3, 5, 6]), np.zeros(3, np.int64), values, partial(beside, group))
    writer = LogWriter(LogState(raw_high=3), RecentIds(0), SCREEN, SOURCE.pack_schema)
    assert [(dead.offset, dead.beside) for dead in writer.pack(raws, 1).dead_letters] == [
        (5, Beside(b"k5", [("h", b"5")])),
        (6, Beside(b"k6", [("h", b"6")])),
    ]
