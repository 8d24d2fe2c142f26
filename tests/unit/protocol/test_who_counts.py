"""Which rows of one id count: the rule, what follows from it, and the audit's own writing of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from twinstream.audit.everything import Known, seen_at, without_duplicates
from twinstream.protocol.who_counts import counting

EPOCHS, PARTITIONS, FILES = 4, 3, 4


@st.composite
def worlds(draw: st.DrawFn) -> list[Known]:
    """Rows of a few ids: live in some partitions and epochs, and in some files, whose numbers
    follow their epochs.
    """
    rows = []
    file_epochs = sorted(draw(st.lists(st.integers(1, EPOCHS), min_size=FILES, max_size=FILES)))
    for partition in range(PARTITIONS):
        epochs = sorted(draw(st.lists(st.integers(1, EPOCHS), max_size=4)))
        for raw, epoch in enumerate(epochs):
            rows.append(
                row(draw, epoch, (partition << 44) | raw, log_partition=partition, log_offset=raw)
            )
    for seq, epoch in enumerate(file_epochs):
        first = -(1 << 62) + (seq << 32)
        rows += [
            row(draw, epoch, first + number, file_seq=seq)
            for number in range(draw(st.integers(0, 3)))
        ]
    return draw(st.permutations(rows))


def row(draw: st.DrawFn, epoch: int, position: int, **place: int) -> Known:
    return Known({}, position, draw(st.sampled_from([b"x", b"y"])), epoch, 0, **place)


def positions(rows: list[Known]) -> list[int]:
    return sorted(k.position for k in rows)


@given(world=worlds())
def test_a_later_epoch_changes_nothing_about_one_that_landed(world: list[Known]) -> None:
    for epoch in range(1, EPOCHS):
        later = [k for k in counting(world, EPOCHS) if k.epoch <= epoch]
        assert positions(counting(world, epoch)) == positions(later)


@given(world=worlds())
def test_no_id_is_lost_and_none_counts_from_a_file_and_live(world: list[Known]) -> None:
    counted = counting(world, EPOCHS)
    assert {k.id for k in counted} == {k.id for k in world}
    for name in {k.id for k in counted}:
        filed = [k for k in counted if k.id == name and k.position < 0]
        assert len(filed) <= 1
        assert not filed or all(k.position < 0 for k in counted if k.id == name)


@given(world=worlds(), epoch=st.integers(1, EPOCHS))
def test_the_audit_counts_by_the_same_rule(world: list[Known], epoch: int) -> None:
    landed = [k for k in without_duplicates(world, epoch) if k.epoch <= epoch]
    assert positions(landed) == positions(counting(world, epoch))


@given(world=worlds(), epoch=st.integers(1, EPOCHS))
def test_what_a_position_has_seen_stays_as_it_was(world: list[Known], epoch: int) -> None:
    """Law 6: what comes later, in whatever epoch and partition, is in no prediction that was
    answered before.
    """
    now = [k for k in world if k.epoch <= epoch]
    log = {
        p: max((k.log_offset for k in now if k.log_partition == p), default=-1)
        for p in range(PARTITIONS)
    }
    assert positions(seen_at(world, epoch, log)) == positions(seen_at(now, epoch, log))


def test_an_id_that_comes_live_again_in_another_partition_changes_no_earlier_epoch() -> None:
    live = Known({}, (1 << 44) | 5, b"x", 1, 0, log_partition=1, log_offset=5)
    filed = Known({}, -(1 << 62), b"x", 1, 0, file_seq=0)
    later = Known({}, 9, b"x", 3, 0, log_partition=0, log_offset=9)
    position = {0: 3, 1: 6}
    assert (
        seen_at([later, live, filed], 1, position) == seen_at([live, filed], 1, position) == [live]
    )
