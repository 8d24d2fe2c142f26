"""Every aggregate is an exact commutative monoid with one meaning, however records are cut,
ordered and merged.
"""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.laws.cases import AGGREGATES, columns_of, moments, placed, plan_of, records
from twinstream.algebra import chunks, fold, kernel
from twinstream.algebra.pit import Events, Spine, point_in_time
from twinstream.algebra.state import StateBatch

ALL = [*AGGREGATES, "everything"]
some = st.lists(records, max_size=25)
laws = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
law = pytest.mark.parametrize("name", ALL)
MINUTE_US = 60_000_000
NEAR_US = (0, 1, -1, MINUTE_US, -4 * MINUTE_US, 5 * MINUTE_US, 61 * MINUTE_US, 1500 * MINUTE_US)
"""Some within a tile of the finest hop, some not."""


def lifted(name, found, **options):
    return kernel.lift(plan_of(name), *columns_of(found), **options)


def folded(name, found):
    plain = fold.fold(plan_of(name).view, found)
    return StateBatch.of(list(plain), list(plain.values()))


def parts_of(found, seed):
    """Records dealt to some parts, each part in an order of its own."""
    chance = random.Random(seed)
    parts = [[] for _ in range(chance.randint(1, 6))]
    for one in found:
        chance.choice(parts).append(one)
    for part in parts:
        chance.shuffle(part)
    return parts, chance


def merged_anyhow(plan, states, chance):
    """Merged in a random tree, in a random order."""
    states = list(states)
    while len(states) > 1:
        chance.shuffle(states)
        n = chance.randint(2, len(states))
        states = [kernel.merge(plan, states[:n]), *states[n:]]
    return states[0]


@law
@laws
@given(some)
def test_kernel_equals_fold(name, rows):
    assert lifted(name, placed(rows)).to_bytes() == folded(name, placed(rows)).to_bytes()


@law
@laws
@given(some, st.integers(0, 2**32))
def test_any_seam_gives_the_same_bytes(name, rows, seed):
    parts, chance = parts_of(placed(rows), seed)
    states = [lifted(name, part) for part in parts] + [StateBatch.empty()]
    assert (
        merged_anyhow(plan_of(name), states, chance).to_bytes()
        == folded(name, placed(rows)).to_bytes()
    )


@law
@laws
@given(some, some, some)
def test_merge_is_associative_and_commutative_with_empty_as_identity(name, a, b, c):
    plan = plan_of(name)
    found = placed(a + b + c)
    x, y, z = (
        lifted(name, found[: len(a)]),
        lifted(name, found[len(a) : len(a) + len(b)]),
        lifted(name, found[len(a) + len(b) :]),
    )

    def merge(*states):
        return kernel.merge(plan, states)

    assert (
        merge(merge(x, y), z).to_bytes()
        == merge(x, merge(y, z)).to_bytes()
        == merge(x, y, z).to_bytes()
    )
    assert merge(x, y).to_bytes() == merge(y, x).to_bytes()
    assert (
        merge(x, StateBatch.empty()).to_bytes()
        == merge(StateBatch.empty(), x).to_bytes()
        == merge(x).to_bytes()
        == x.to_bytes()
    )


@law
@laws
@given(some)
def test_bytes_make_the_round_trip(name, rows):
    state = lifted(name, placed(rows))
    again = StateBatch.from_bytes(state.to_bytes())
    assert again.to_bytes() == state.to_bytes()
    assert again.keys == state.keys
    assert again.blobs() == state.blobs() == [state.blob(i) for i in range(len(state))]
    assert StateBatch.of(state.keys, state.blobs()).to_bytes() == state.to_bytes()


@law
@laws
@given(some, moments)
def test_chunks_hold_all_that_a_read_takes(name, rows, at):
    plan = plan_of(name)
    state, chunked = lifted(name, placed(rows)), lifted(name, placed(rows), chunked=True)
    assert chunked.to_bytes() == kernel.split_chunks(plan, state).to_bytes()
    assert chunked.keys == sorted(set(chunked.keys))
    stored = dict(zip(chunked.keys, chunked.blobs(), strict=True))
    for i, key in enumerate(state.keys):
        found = b"".join(stored.get(k, b"") for k in chunks.needed(plan, key, at))
        whole = kernel.read(plan, np.frombuffer(state.blob(i), np.int64), at)
        assert kernel.read(plan, np.frombuffer(found, np.int64), at).tobytes() == whole.tobytes()


@law
@laws
@given(some, moments, st.integers(0, 2**32))
def test_read_equals_the_answers_of_the_fold_even_from_unmerged_blobs(name, rows, at, seed):
    plan = plan_of(name)
    parts, _ = parts_of(placed(rows), seed)
    states = [
        dict(zip(s.keys, s.blobs(), strict=True)) for s in (lifted(name, part) for part in parts)
    ]
    for key in {key for state in states for key in state}:
        words = np.frombuffer(b"".join(state.get(key, b"") for state in states), np.int64)
        assert (
            kernel.read(plan, words, at).tobytes()
            == np.array(fold.answers(plan.view, placed(rows), key, at)).tobytes()
        )


@law
@laws
@given(
    some,
    st.lists(st.tuples(moments, moments), min_size=25, max_size=25),
    st.lists(moments, max_size=6),
)
def test_point_in_time_equals_fold_and_read(name, rows, known, ats):
    plan = plan_of(name)
    found = placed(rows)
    batch, position = columns_of(found)
    known_us = np.array([k for k, _ in known[: len(rows)]], np.int64)
    keys = sorted(
        {key for key in (fold.encode([r["shop"], r["till"]]) for r in rows) if key is not None}
    )
    spine = [(key, at) for key in [*keys, b"nobody", None] for at in ats]
    asked = Spine([key for key, _ in spine], np.array([at for _, at in spine], np.int64))
    answers = point_in_time(plan, Events(batch, position, known_us), asked)
    for (key, at), answer in zip(spine, answers, strict=True):
        seen = [one for one, when in zip(found, known_us, strict=True) if when <= at]
        assert answer.tobytes() == np.array(fold.answers(plan.view, seen, key, at)).tobytes()


@law
@laws
@given(some, moments)
def test_read_many_equals_read(name, rows, at):
    plan, state = plan_of(name), lifted(name, placed(rows))
    many = kernel.read_many(plan, state.words, state.offsets, np.full(len(state), at, np.int64))
    for i in range(len(state)):
        assert (
            many[i].tobytes()
            == kernel.read(plan, np.frombuffer(state.blob(i), np.int64), at).tobytes()
        )


@law
@laws
@given(some, st.lists(st.tuples(st.integers(0, 12), moments), max_size=12), st.integers(0, 2**32))
def test_read_pieces_equals_read_wherever_the_pieces_of_a_key_stand(name, rows, questions, seed):
    """Keys without a piece are asked as well, and one key at several moments."""
    plan = plan_of(name)
    parts, chance = parts_of(placed(rows), seed)
    states = [lifted(name, part) for part in parts]
    number = {key: i for i, key in enumerate({key for state in states for key in state.keys})}
    pieces = [
        (number[key], blob)
        for state in states
        for key, blob in zip(state.keys, state.blobs(), strict=True)
    ]
    chance.shuffle(pieces)
    words = np.frombuffer(bytearray().join(blob for _, blob in pieces), np.int64)
    offsets = np.cumsum([0, *(len(blob) // 8 for _, blob in pieces)])
    asked, at = (
        np.array([k for k, _ in questions], np.int64),
        np.array([t for _, t in questions], np.int64),
    )
    found = kernel.read_pieces(
        plan, kernel.Pieces(words, offsets, np.array([k for k, _ in pieces], np.int64)), asked, at
    )
    for (k, moment), answer in zip(questions, found, strict=True):
        its = np.frombuffer(b"".join(blob for owner, blob in pieces if owner == k), np.int64)
        assert answer.tobytes() == kernel.read(plan, its, moment).tobytes()


@law
@laws
@given(some, moments, st.lists(st.sampled_from(NEAR_US), min_size=2, max_size=12))
def test_a_key_asked_at_near_moments_answers_each_as_if_asked_alone(name, rows, at, offsets):
    plan = plan_of(name)
    rows = [row | {"shop": "a", "till": 7} for row in rows]
    words = np.frombuffer(b"".join(lifted(name, placed(rows)).blobs()), np.int64)
    asked = np.array([(rows[0]["sold_at"] if rows else at) + near for near in offsets], np.int64)
    pieces = kernel.Pieces(words, np.array([0, len(words)]), np.zeros(1, np.int64))
    together = kernel.read_pieces(plan, pieces, np.zeros(len(asked), np.int64), asked)
    alone = [kernel.read(plan, words, int(moment)) for moment in asked]
    assert together.tobytes() == np.array(alone).tobytes()
