"""The speed layer goes by the newest manifest whose cut is where the log has the barriers of its
epoch.
"""

from __future__ import annotations

import pytest

from preprocess_svc.speed.cuts import MOST, believed, is_barrier, newest_first
from schemas import packs
from schemas.events import Cut, ViewPublished

LOG = {(0, 10, 1), (1, 20, 1), (0, 30, 2), (1, 40, 2)}
"""Where barriers are: (partition, offset, epoch)."""


def manifest(epoch: int, first: int, second: int) -> ViewPublished:
    cut = {p: Cut(offset=o, raw_high=0) for p, o in enumerate((first, second))}
    return ViewPublished(
        view="sums",
        source="orders",
        epoch=epoch,
        cut=cut,
        files=[],
        definition_digest="",
        as_of_us=0,
        complete_since={},
    )


ONE, TWO = manifest(1, 10, 20), manifest(2, 30, 40)


def ends(partition: int, offset: int, epoch: int) -> bool:
    return (partition, offset, epoch) in LOG


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        ([ONE, TWO], TWO),
        ([TWO, ONE], TWO),
        ([ONE, manifest(2, 30, 41)], ONE),
        ([ONE, manifest(2, 10**9, 10**9), TWO], TWO),
        ([ONE, TWO, manifest(2, 10**9, 40)], TWO),
        ([ONE, TWO, manifest(3, 30, 40)], TWO),
        ([manifest(1, 30, 40)], None),
        ([], None),
    ],
)
def test_a_cut_that_the_log_does_not_know_is_passed_over(
    published: list[ViewPublished], expected: ViewPublished | None
) -> None:
    assert believed(newest_first(published), [0, 1], ends) is expected


def test_a_flood_of_manifests_is_bounded() -> None:
    assert len(newest_first([TWO] * 10_000)) == MOST


def message(kind: int, epoch: int) -> bytes:
    header = packs.PackHeader(kind=kind, epoch=epoch, rows=0, raw_first=0, raw_last=-1, raw_high=-1)
    return packs.encode_pack(header, None)


def test_a_barrier_is_one_of_its_epoch_alone() -> None:
    assert is_barrier(message(packs.BARRIER, 3), 3)
    assert not is_barrier(message(packs.BARRIER, 4), 3)
    assert not is_barrier(message(packs.PACK, 3), 3)
    assert not any(is_barrier(value, 3) for value in (None, b"", b"x" * 200))
