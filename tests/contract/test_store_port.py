"""What every StateStore with its BaseLoading, and every StateReads with its LandedBase, does; law 3
needs what is said here of a Moment and a Change.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest

from predict_svc.view.adapters import lmdb_reads
from predict_svc.view.adapters.dict_store import DictDisk, DictStore, StoreCrashedError
from predict_svc.view.errors import BaseRefusedError, StoreFullError, ViewNotReadyError
from predict_svc.view.ports import SLOTS, StateReads, StateStore
from tests.contract.store_rigs import CAPACITY, RIGS, WORKS, Rig, half_a_write


@pytest.fixture(params=RIGS)
def rig(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setattr(lmdb_reads, "LOOK_AGAIN_S", -1.0)
    return RIGS[request.param](tmp_path)


@pytest.fixture
def store(rig: Rig) -> Iterator[StateStore]:
    opened = rig.open()
    yield opened
    opened.close()


@pytest.fixture
def reads(rig: Rig) -> Iterator[StateReads]:
    opened = rig.reads()
    yield opened
    opened.close()


def write(store: StateStore, value: bytes, key: bytes = b"key") -> None:
    """A state and the document that says how far the states go."""
    with store.writing() as change:
        store.put_many(change, store.tables[0], [(key, value)])
        change.put(b"progress", value)


def read(reads: StateReads, key: bytes = b"key") -> tuple[bytes | None, bytes | None]:
    with reads.begin() as moment:
        return moment.get(key, None, reads.tables[0]), moment.get(b"progress")


def test_states_and_documents_are_committed_together(store: StateStore, reads: StateReads) -> None:
    assert read(reads) == (None, None)
    write(store, b"1")
    assert read(reads) == (b"1", b"1")
    with store.reading() as moment:
        assert moment.get(b"progress") == b"1"
        assert moment.get(b"layout", b"none") == b"none"


def test_a_write_that_raises_changes_nothing(store: StateStore, reads: StateReads) -> None:
    write(store, b"1")
    with pytest.raises(ZeroDivisionError):
        half_a_write(store, lambda: 1 // 0)  # type: ignore[arg-type, return-value]
    assert read(reads) == (b"1", b"1")
    write(store, b"2")
    assert read(reads) == (b"2", b"2")


def test_a_write_sees_what_it_has_put_and_others_do_not(
    store: StateStore, reads: StateReads
) -> None:
    write(store, b"1")
    assert read(reads) == (b"1", b"1")
    with store.writing() as change:
        change.put(b"progress", b"2")
        store.put_many(change, store.tables[0], [(b"new", b"2")])
        assert change.get(b"progress") == b"2"
        assert store.get_many(change, store.tables[0], [b"new"]) == [(b"new", b"2")]
        assert read(reads, b"new") == (None, b"1")
    assert read(reads, b"new") == (b"2", b"2")


def test_a_moment_stays_as_it_began(store: StateStore, reads: StateReads) -> None:
    write(store, b"1")
    with reads.begin() as moment:
        write(store, b"2")
        assert moment.get(b"key", None, reads.tables[0]) == b"1"
        assert moment.get(b"progress") == b"1"
    assert read(reads) == (b"2", b"2")


def test_no_reader_ever_sees_half_a_write(store: StateStore, reads: StateReads) -> None:
    write(store, b"0")
    writes = threading.Thread(target=lambda: [write(store, str(i).encode()) for i in range(1, 400)])
    writes.start()
    seen = 0
    while writes.is_alive():
        state, progress = read(reads)
        assert state == progress
        assert int(state or b"-1") >= seen
        seen = int(state or b"-1")
    writes.join()
    assert read(reads) == (b"399", b"399")


@pytest.mark.timeout(60)
def test_a_reader_opens_while_the_store_is_written(store: StateStore, reads: StateReads) -> None:
    """Both may be in one process, and neither waits for what the other holds."""
    writes = threading.Thread(target=lambda: [write(store, str(i).encode()) for i in range(2000)])
    writes.start()
    opened = 0
    while writes.is_alive():
        state, progress = read(reads)
        assert state == progress
        reads.close()
        opened += 1
    writes.join()
    assert opened > 0


@pytest.mark.parametrize("work", WORKS)
def test_a_crash_loses_what_was_not_committed_and_nothing_else(rig: Rig, work: str) -> None:
    first = rig.open()
    with first.writing() as change:
        first.put_many(change, first.tables[1], [(b"kept", b"1")])
    write(first, b"1")
    first.close()
    rig.crash(work)
    again, reads = rig.open(), rig.reads()
    assert read(reads) == (b"1", b"1")
    with reads.begin() as moment:
        assert moment.get(b"kept", None, reads.tables[1]) == b"1"
        assert moment.get(b"other", None, reads.tables[0]) is None
    assert not again.has_base("base-9")
    assert list(again.scratch.glob("base-*.part")) == []
    write(again, b"2")
    again.load_base("base-9", [[(b"a", b"1")]])
    assert read(reads) == (b"2", b"2")
    reads.close()
    again.close()


def test_a_power_cut_or_a_lost_disk_leaves_an_empty_store(rig: Rig) -> None:
    reads = rig.reads()
    for fault in (rig.power_cut, rig.lose_disk):
        store = rig.open()
        write(store, b"1")
        store.load_base("base-1", [[(b"a", b"1")]])
        assert read(reads) == (b"1", b"1")
        before = reads.tables
        store.close()
        reads.close()
        fault()
        store = rig.open()
        assert read(reads) == (None, None)
        assert reads.tables is not before
        assert not store.has_base("base-1")
        with pytest.raises(ViewNotReadyError):
            reads.base("base-1")
        reads.close()
        store.close()


def test_a_reader_without_a_store_says_so(rig: Rig) -> None:
    reads = rig.reads()
    with pytest.raises(ViewNotReadyError):
        reads.begin()
    store = rig.open()
    assert read(reads) == (None, None)
    assert len(reads.tables) == len(store.tables) == SLOTS
    reads.close()
    store.close()


def test_a_store_that_takes_no_more_keeps_what_it_has(store: StateStore, reads: StateReads) -> None:
    write(store, b"1")
    with pytest.raises(StoreFullError):
        write(store, bytes(CAPACITY + 1))
    assert read(reads) == (b"1", b"1")
    write(store, b"2")
    assert read(reads) == (b"2", b"2")
    assert store.free_bytes() > 0


def test_get_many_gives_what_there_is_in_its_order(store: StateStore) -> None:
    with store.writing() as change:
        store.put_many(change, store.tables[0], [(b"a", b"1"), (b"c", b"3"), (b"d", b"")])
        found = store.get_many(change, store.tables[0], [b"a", b"b", b"c", b"d"])
        assert found == [(b"a", b"1"), (b"c", b"3"), (b"d", b"")]
        assert store.get_many(change, store.tables[1], [b"a"]) == []


def test_a_scan_goes_in_the_order_of_bytes(store: StateStore, reads: StateReads) -> None:
    keys = [b"a", b"a\x00", b"ab", b"a\x80", b"b", b"\xff"]
    with store.writing() as change:
        store.put_many(change, store.tables[3], [(key, b"x" + key) for key in reversed(keys)])
    with reads.begin() as moment:
        table = reads.tables[3]
        assert list(reads.scan(moment, table)) == [(key, b"x" + key) for key in keys]
        assert [key for key, _ in reads.scan(moment, table, b"a\x01")] == keys[2:]
        assert list(reads.scan(moment, table, b"\xff\xff")) == []
        assert list(reads.scan(moment, reads.tables[4])) == []


def test_an_emptied_table_is_used_again_by_the_same_handle(
    store: StateStore, reads: StateReads
) -> None:
    write(store, b"1")
    with store.writing() as change:
        store.put_many(change, store.tables[1], [(b"key", b"other")])
        store.empty(change, store.tables[0])
    with reads.begin() as moment:
        assert moment.get(b"key", None, reads.tables[0]) is None
        assert moment.get(b"key", None, reads.tables[1]) == b"other"
    write(store, b"2")
    assert read(reads) == (b"2", b"2")


@pytest.mark.parametrize("key", [b"", b"x" * 512])
def test_a_key_of_no_byte_or_too_many_is_refused(store: StateStore, key: bytes) -> None:
    with pytest.raises((ValueError, lmdb.BadValsizeError)):
        write(store, b"1", key)
    write(store, b"1", b"x" * 511)


@pytest.mark.parametrize("buffers", [False, True])
def test_a_base_gives_what_was_loaded(store: StateStore, reads: StateReads, buffers: bool) -> None:
    store.load_base("base-1", [[(b"a", b"1"), (b"b", b"")], [], [(b"\xff", b"3")]])
    assert store.has_base("base-1")
    with reads.base("base-1").begin(buffers=buffers) as base:
        assert [bytes(base.get(key, b"none")) for key in (b"a", b"b", b"c", b"\xff")] == [
            b"1",
            b"",
            b"none",
            b"3",
        ]
        if not buffers:
            assert list(reads.scan(base)) == [(b"a", b"1"), (b"b", b""), (b"\xff", b"3")]


@pytest.mark.parametrize(
    "batches",
    [
        [[(b"b", b"1"), (b"a", b"2")]],
        [[(b"a", b"1")], [(b"a", b"2")]],
        [[(b"a", b"1"), (b"b", b"2")], [(b"a", b"3"), (b"c", b"4")]],
    ],
)
def test_a_base_out_of_order_is_refused_and_not_there(
    store: StateStore, reads: StateReads, batches: list[list[tuple[bytes, bytes]]]
) -> None:
    with pytest.raises(BaseRefusedError):
        store.load_base("base-1", batches)
    assert not store.has_base("base-1")
    with pytest.raises(ViewNotReadyError):
        reads.base("base-1")
    assert list(store.scratch.glob("base-*")) == []


def test_a_base_is_loaded_anew_over_the_same_name(store: StateStore, reads: StateReads) -> None:
    store.load_base("base-1", [[(b"a", b"1")]])
    store.load_base("base-1", [[(b"a", b"2")]])
    with reads.base("base-1").begin() as base:
        assert base.get(b"a") == b"2"


def test_a_removed_base_stays_readable_for_who_has_it_open(
    store: StateStore, reads: StateReads
) -> None:
    for name in ("base-1", "base-2"):
        store.load_base(name, [[(b"a", name.encode())]])
    old = reads.base("base-1")
    store.keep_bases({"base-2"})
    assert (store.has_base("base-1"), store.has_base("base-2")) == (False, True)
    with old.begin() as base:
        assert base.get(b"a") == b"base-1"


@pytest.mark.parametrize("step", ["put", "base batch", "base whole", "commit"])
def test_a_simulated_crash_at_any_step_loses_that_step_alone(tmp_path: Path, step: str) -> None:
    """The dictionary crashes wherever a simulation wants it to."""
    armed = [False]

    def before(name: str) -> None:
        if armed[0] and name == step:
            raise StoreCrashedError(name)

    disk = DictDisk(tmp_path, before=before)
    store = DictStore(disk)
    write(store, b"1")
    armed[0] = True
    with pytest.raises(StoreCrashedError):
        write(store, b"2") if step in {"put", "commit"} else store.load_base(
            "base-1", [[(b"a", b"1")]]
        )
    armed[0] = False
    again = DictStore(disk)
    with again.reading() as moment:
        assert moment.get(b"progress") == b"1"
    assert not again.has_base("base-1")
    with pytest.raises(StoreCrashedError):
        write(store, b"3")
