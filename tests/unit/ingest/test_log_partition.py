"""Law 4 on the pure core: crashes, overlapping writers and duplicates, in any interleaving, change nothing in what the log counts."""

import json
from collections import deque

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_svc.dedupe import RecentIds
from ingest_svc.lane import Lane
from ingest_svc.log_state import LogState, state_of
from ingest_svc.log_writer import LogMessage, LogWriter, OverlapError, Raws
from ingest_svc.ports import Place
from ingest_svc.validation import Screen
from schemas.events import EpochSealed
from schemas.packs import BARRIER, KNOWN, RAW, decode_header, decode_rows
from twinstream import Int, Source, String, Timestamp
from twinstream.define.records import Decoder, key_text

SOURCE = Source(
    "orders", id="order", key="buyer", event_time="at", dedupe="1h",
    fields={"order": String(), "buyer": String(), "at": Timestamp(), "items": Int(optional=True)},
)
SCREEN = Screen(Decoder(SOURCE, [("buyer",)]), record_bytes=400)
OUTSTANDING, TAIL = 3, 12


def record(order: str) -> bytes:
    return json.dumps({"order": order, "buyer": f"b{order}", "at": 1_700_000_000_000_000, "items": len(order)}).encode()


BAD = [b"{", b"[]", b"null", b'{"order":"1"}', b'{"order":"1","buyer":2,"at":1}', b'{"order":"1","buyer":null,"at":1}', None,
       record("x" * 500), json.dumps({"order": "1", "buyer": "b" * 390, "at": "never"}).encode(), b"\xff\xfe"]


class Log:
    """One partition of a log, and what its writers told of it."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.dead_letters: dict[int, bytes] = {}
        self.sealed: list[EpochSealed] = []

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

    def __init__(self, log: Log, raw: list[bytes | None], clock: list[int]) -> None:
        self.log, self.raw, self.clock = log, raw, clock
        self.flying: deque[LogMessage] = deque()
        self.open()

    def open(self) -> None:
        start = max(0, len(self.log.messages) - TAIL)
        tail = [(i, decode_header(self.log.messages[i])) for i in range(start, len(self.log.messages))]
        recent = RecentIds(SOURCE.dedupe_us)
        for data in self.log.messages:
            rows = decode_rows(data, SOURCE.pack_schema)
            recent.restore(key_text(rows, SOURCE.id_fields), rows.column(KNOWN).to_numpy())
        state = state_of(tail)
        writer = LogWriter(state, recent, SCREEN, SOURCE.pack_schema, pack_bytes=150)
        self.lane = Lane(Place("orders", 0), "raw", writer, {o for o in self.log.dead_letters if o > state.raw_high})
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
        packed = self.lane.writer.pack(Raws(offsets, np.zeros(len(values), np.int64), values), self.clock[0])
        for offset, original, _ in self.lane.to_dead_letter(packed):
            self.log.dead_letters[offset] = original
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


raws = st.lists(st.one_of(st.integers(0, 30).map(lambda i: record(f"o{i}")), st.integers(0, 10**6).map(lambda i: record(f"u{i}")),
                          st.sampled_from(BAD)), max_size=60)
acts = st.lists(st.tuples(st.integers(0, 1), st.sampled_from(["pack", "pack", "arrive", "arrive", "arrive", "crash", "seal"]),
                          st.integers(1, 9)), max_size=80)


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
def test_log_counts_each_good_record_once_in_raw_order_when_writers_crash_and_overlap(raw, script) -> None:
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
def test_sealed_epochs_are_what_readers_of_the_log_see_when_writers_crash_and_overlap(raw, script) -> None:
    log, clock = Log(), [1_000_000]
    workers = [Worker(log, raw, clock), Worker(log, raw, clock)]
    for who, act, count in script:
        clock[0] += count
        getattr(workers[who], act)(*([count] if act == "pack" else []))
    barriers = log.barriers()
    assert {s.epoch: (s.offset, s.raw_high) for s in log.sealed}.items() <= barriers.items()
    assert all((s.offset, s.raw_high) == barriers[s.epoch] for s in log.sealed)


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
    writer = LogWriter(LogState(known_max_us=45), RecentIds(0), SCREEN, SOURCE.pack_schema, replay=True)
    packed = writer.pack(Raws(np.arange(4), times, [record(str(i)) for i in range(4)]), now_us=10**15)
    rows = decode_rows(packed.messages[0].data, SOURCE.pack_schema)
    assert rows.column(KNOWN).to_pylist() == [50, 50, 70, 70]
    assert packed.messages[0].header.known_max_us == 70


def test_raw_records_already_covered_are_passed_over() -> None:
    writer = LogWriter(LogState(raw_high=2), RecentIds(0), SCREEN, SOURCE.pack_schema)
    packed = writer.pack(Raws(np.arange(5), np.zeros(5, np.int64), [record(str(i)) for i in range(5)]), now_us=1)
    assert [(m.header.raw_first, m.header.raw_last, m.header.rows) for m in packed.messages] == [(3, 4, 2)]
    assert writer.pack(Raws(np.arange(5), np.zeros(5, np.int64), [record(str(i)) for i in range(5)]), now_us=1).messages == []


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


def test_what_was_dead_lettered_is_not_dead_letters_again_when_only_its_covering_pack_was_lost() -> None:
    log, raw = Log(), [record("1"), b"{", record("2"), b"["]
    Worker(log, raw, [1]).pack(2)
    assert set(log.dead_letters) == {1}
    again = Worker(log, raw, [1])
    packed = again.lane.writer.pack(Raws(np.arange(4), np.zeros(4, np.int64), raw), 1)
    assert [offset for offset, _, _ in again.lane.to_dead_letter(packed)] == [3]
    assert [p.offset for p in packed.dead_letters] == [1, 3]


def test_reasons_name_what_is_wrong() -> None:
    values = [record("x" * 500), None, b"{", record("ok")]
    packed = LogWriter(LogState(), RecentIds(0), SCREEN, SOURCE.pack_schema).pack(Raws(np.arange(4), np.zeros(4, np.int64), values), 1)
    reasons = {p.offset: p.reason for p in packed.dead_letters}
    assert packed.rows == 1
    assert "more than the 400" in reasons[0]
    assert "tombstone" in reasons[1]
    assert "JSON" in reasons[2]
