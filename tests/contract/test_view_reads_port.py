"""What the predictor may expect of ViewReads: of a reader on each store, and of the fake that
stands for it in the predictor's tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from predict_svc.api.serving import ViewReads
from predict_svc.view.errors import ViewBehindError, ViewNotReadyError
from tests.unit.api.fakes import FakeReader
from tests.unit.view.engines import ENGINES
from tests.unit.view.world import NOW_US, PARTITIONS, World, pipeline

ASKED = [b"s0", b"s1", b"nobody", b"s0"]


class Filled(NamedTuple):
    """Reads of a view, the epochs of its bases, and the last raw offset of each partition."""

    reads: ViewReads
    landed: set[int]
    raw: dict[int, int]


@pytest.fixture(params=["fake", *ENGINES])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Filled]:
    view = pipeline.view("spending")
    if request.param == "fake":
        fake = FakeReader(view, {0, 1})
        yield Filled(fake, {0, 1}, dict(fake.raw))  # type: ignore[arg-type]
        return
    world = World(tmp_path, engine=request.param)
    for partition in range(PARTITIONS):
        world.log.pack(partition, 20)
        world.log.barrier(partition, 1)
        world.log.pack(partition, 10)
        world.fold(partition)
    for partition in range(PARTITIONS):
        world.apply(partition)
    assert world.publish() is not None
    for partition in range(PARTITIONS):
        world.land(partition)
    yield Filled(world.reader, {0, 1}, dict.fromkeys(range(PARTITIONS), 29))
    world.close()


def test_many_answers_are_those_of_each_key_alone(filled: Filled) -> None:
    many, positions = filled.reads.read_many(ASKED, [NOW_US] * len(ASKED))
    assert many.shape == (len(ASKED), filled.reads.plan.n_out)
    assert many.dtype == np.float64
    for row, (key, position) in enumerate(zip(ASKED, positions, strict=True)):
        one, at = filled.reads.read(key, NOW_US)
        assert one.tobytes() == many[row].tobytes()
        assert at == position


def test_no_keys_have_no_answers(filled: Filled) -> None:
    answers, positions = filled.reads.read_many([], [])
    assert answers.shape == (0, filled.reads.plan.n_out)
    assert positions == []


def test_an_answer_names_the_base_that_was_asked_for_and_the_newest_otherwise(
    filled: Filled,
) -> None:
    assert filled.reads.bases() == filled.landed
    for epoch in filled.landed:
        assert filled.reads.read(b"s0", NOW_US, epoch)[1].epoch == epoch
        assert {at.epoch for at in filled.reads.positions(epoch).values()} == {epoch}
    assert filled.reads.read(b"s0", NOW_US)[1].epoch == max(filled.landed)
    assert set(filled.reads.positions()) == set(range(PARTITIONS))


def test_a_base_that_is_not_here_is_refused(filled: Filled) -> None:
    with pytest.raises(ViewNotReadyError):
        filled.reads.read(b"s0", NOW_US, 7)
    with pytest.raises(ViewNotReadyError):
        filled.reads.read_many(ASKED, [NOW_US] * len(ASKED), 7)
    with pytest.raises(ViewNotReadyError):
        filled.reads.positions(7)


def test_what_is_reached_is_not_waited_for_and_what_is_not_is_refused(filled: Filled) -> None:
    filled.reads.wait_for(filled.raw, 0.0)
    filled.reads.wait_for(filled.raw, 0.0, b"s0", max(filled.landed))
    with pytest.raises(ViewBehindError):
        filled.reads.wait_for({0: filled.raw[0] + 1}, 0.0)
