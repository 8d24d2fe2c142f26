"""Where partitions end is asked of Kafka, by a client that is given time and then replaced."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest

from twinstream.errors import NotRunningError
from twinstream.mesh.exit_codes import WORKER_FAILED
from twinstream.mesh.kafka.ends import RENEW_AFTER_S, EndsWatched, PartitionEnds
from twinstream.mesh.kafka.positions import Place

A, B = ("log", 0), ("log", 1)


class Broker:
    """Answers none of the clients numbered below `good_from`."""

    def __init__(self, good_from: int) -> None:
        self.good_from, self.now_s, self.ends = good_from, 0.0, {A: 5, B: 0}
        self._numbers = count()
        self.ask = PartitionEnds(lambda: next(self._numbers), self._answer, lambda: self.now_s)

    def _answer(self, client: Any, places: Sequence[Place], _: float) -> dict[Place, int]:
        if client < self.good_from:
            raise NotRunningError("FENCED_LEADER_EPOCH")
        return {place: self.ends[place] for place in places}

    def fails(self) -> bool:
        try:
            self.ask([A], 1.0)
        except NotRunningError:
            return True
        return False


def test_a_client_that_fails_is_replaced_after_a_while() -> None:
    broker = Broker(good_from=1)
    assert broker.fails()
    broker.now_s = RENEW_AFTER_S - 0.1
    assert broker.fails()
    broker.now_s = RENEW_AFTER_S
    assert broker.fails()
    assert broker.ask([A], 1.0) == {A: 5}


def test_a_client_that_answers_now_and_then_is_kept() -> None:
    broker = Broker(good_from=0)
    for _ in range(5):
        broker.good_from = 1
        assert broker.fails()
        broker.now_s += RENEW_AFTER_S / 2
        broker.good_from = 0
        assert not broker.fails()
        broker.now_s += RENEW_AFTER_S


def test_lag_counts_from_what_kafka_holds() -> None:
    broker = Broker(good_from=0)
    watched = EndsWatched(broker.ask, [A, B])
    assert watched.lag({A: 3}) is None
    watched.look()
    assert watched.lag({}) is None
    assert watched.lag({A: 3, B: 0}) == 2
    broker.ends[A], broker.good_from = 9, 1
    watched.look()
    assert watched.lag({A: 3}) == 2  # no answer: the old end is still true
    broker.good_from = 0
    watched.look()
    assert watched.lag({A: 3}) == 6
    assert watched.lag({A: 3, ("log", 7): 0}) is None


@pytest.mark.parametrize(
    ("tick", "ends"),
    [
        ("Work('read', 1, 7), Work('send', 0, n)", True),
        ("Work('read', 1, n), Work('send', 2, 7)", True),
        ("Work('read', 1, n), Work('send', 2, n)", False),
        ("Work('read', 0, 7), Work('send', 0, 7)", False),
    ],
)
def test_a_worker_that_does_none_of_its_work_ends(tick: str, ends: bool) -> None:
    """Whichever kind of work it is; `n` changes at every tick."""
    program = (
        "from twinstream.mesh.watchdog import Watchdog, Work\n"
        f"w = Watchdog(3)\nfor n in range(9): w.tick({tick})\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    assert done.returncode == (WORKER_FAILED if ends else 0), done.stderr
