"""The table of ids against a dict, and its hash against Python's words for it."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_svc.compiled.siphash import siphash
from ingest_svc.id_table import SMALLEST, Ids, IdTable

texts = st.lists(
    st.binary(max_size=20) | st.sampled_from([b"", b"\0", b"\0\0", b"a", b"ab"]),
    min_size=1,
    max_size=12,
)
rounds = st.lists(st.tuples(texts, st.integers(0, 5)), max_size=12)


@given(rounds=rounds, horizon=st.integers(0, 8))
def test_the_table_is_a_dict_of_ids_and_times(rounds, horizon) -> None:
    table, plain, now = IdTable(), {}, 0
    for ids, pause in rounds:
        now += pause
        known, new = np.full(len(ids), now), np.ones(len(ids), bool)
        seen_before = np.ones(len(ids), bool)
        table.refuse(Ids.of(pa.array(ids)), known, horizon, seen_before)
        assert seen_before.tolist() == [i not in plain or now - plain[i] > horizon for i in ids]
        table.add(Ids.of(pa.array(ids)), known, horizon, new)
        for record_id, is_new in zip(ids, new.tolist(), strict=True):
            assert is_new == (record_id not in plain or now - plain[record_id] > horizon)
            if is_new:
                plain[record_id] = now
        assert len(table) == len(plain)


def test_it_holds_what_it_held_when_it_grows() -> None:
    table, n = IdTable(), 40 * SMALLEST
    ids = pa.array([f"{i}" * (i % 7) for i in range(n)])
    distinct = len(ids.unique())
    for start in range(0, n, 777):
        part = ids.slice(start, 777)
        table.add(Ids.of(part), np.zeros(len(part), np.int64), 0, np.ones(len(part), bool))
    assert len(table) == distinct
    new = np.ones(n, bool)
    table.refuse(Ids.of(ids), np.zeros(n, np.int64), 0, new)
    assert not new.any()
    others = pa.array([f"x{i}" for i in range(n)])
    new = np.ones(n, bool)
    table.refuse(Ids.of(others), np.zeros(n, np.int64), 0, new)
    assert new.all()


def test_ids_with_one_hash_are_told_apart() -> None:
    table = IdTable()
    ids = Ids.of(pa.array([f"id{i}" for i in range(300)]))
    ids = ids._replace(hashes=np.full(300, 5))
    new = np.ones(300, bool)
    table.add(ids, np.zeros(300, np.int64), 0, new)
    assert new.all()
    assert len(table) == 300
    table.add(ids, np.zeros(300, np.int64), 0, new)
    assert not new.any()


def test_a_slice_of_an_array_is_read_at_its_place() -> None:
    ids = Ids.of(pa.array(["zero", "one", "two", ""]).slice(1, 3))
    assert bytes(ids.data) == b"onetwo"
    assert ids.offsets.tolist() == [0, 3, 6, 6]


@pytest.mark.parametrize(
    ("length", "wanted"),
    [
        (0, 0xABAC0158050FC4DC),
        (1, 0xC9F49BF37D57CA93),
        (8, 0x369095118D299A8E),
        (15, 0xD320D86D2A519956),
    ],
)
def test_the_hash_is_siphash_1_3(length, wanted) -> None:
    """With the key and inputs of the authors' own vectors (bytes 0, 1, 2, ...)."""
    keys = np.frombuffer(bytes(range(16)), np.uint64)
    assert int(siphash(np.arange(16, dtype=np.uint8), 0, length, keys.copy())) == wanted
