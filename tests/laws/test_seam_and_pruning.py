"""Law 1 with pruning: bases that forget, epochs in any order of time, late and future records,
questions before and after the base's time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from preprocess_svc.batch.folding.pruning import complete_since, first_tiles, prune, reaches
from tests.laws.cases import DAY, HOUR, columns_of, numbers, plan_of, texts
from twinstream.algebra import chunks, fold, kernel, windows
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch
from twinstream.audit import plain
from twinstream.protocol.known_time import EARLIEST_US

Placed = tuple[dict[str, Any], int]
law = pytest.mark.parametrize(
    "name", ["count", "std", "last_k", "quantile", "distinct", "everything"]
)
laws = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

STARTS = [15_000 * DAY, -6_000 * DAY, 0]
steps = st.sampled_from(
    [
        0,
        1,
        5 * 60_000_000,
        HOUR,
        3 * HOUR,
        DAY,
        8 * DAY,
        31 * DAY,
        37 * DAY,
        61 * DAY,
        395 * DAY,
        800 * DAY,
    ]
)
spans = st.builds(
    lambda step, sign, more: sign * step + more,
    steps,
    st.sampled_from([-1, -1, 1]),
    st.integers(0, HOUR),
)


@st.composite
def worlds(draw) -> tuple[list[list[Placed]], list[int], list[int]]:
    """(records of each epoch, the time of each epoch, moments of questions), around one start."""
    start = draw(st.sampled_from(STARTS))
    moments = spans.map(lambda span: start + span)
    record = st.fixed_dictionaries(
        {
            "id": st.just("x"),
            "shop": st.sampled_from(["a", "a\x01"]),
            "till": st.just(7),
            "sold_at": moments,
            "size": numbers,
            "amount": numbers,
            "paid": st.sampled_from([None, True, False]),
            "place": texts,
        }
    )
    epochs = draw(st.lists(st.lists(record, max_size=6), min_size=1, max_size=5))
    place = iter(range(-10, 100))
    as_of = draw(
        st.lists(st.just(EARLIEST_US) | moments, min_size=len(epochs), max_size=len(epochs))
    )
    return (
        [[(row, next(place)) for row in epoch] for epoch in epochs],
        as_of,
        draw(st.lists(moments, max_size=4)),
    )


@dataclass
class Base:
    """The batch view of an epoch, as the batch layer makes it: on the one before,
    or whole where that one lacks tiles.
    """

    plan: ViewPlan
    since: dict[int, int] = field(default_factory=dict)
    states: StateBatch = field(default_factory=StateBatch.empty)

    def after(self, records: list[Placed], everything: list[Placed], as_of_us: int) -> Base:
        since = complete_since(self.plan, as_of_us)
        taken, before = (records, [self.states]) if reaches(self.since, since) else (everything, [])
        event("built on the base before" if before else "folded whole")
        lifted = kernel.lift(self.plan, *columns_of(taken), since=first_tiles(since))
        return Base(self.plan, since, prune(kernel.merge(self.plan, [*before, lifted]), since))

    @property
    def kept_from_us(self) -> int:
        """The first moment about which a reader of this base answers."""
        hops = [hop for hop in self.plan.hops if hop.hop != windows.ALL]
        return max(
            self.since[hop.hop] * windows.HOP_US[hop.hop] + windows.length_us(hop.windows[-1])
            for hop in hops
        )


def all_of(epochs: list[list[Placed]]) -> list[Placed]:
    return [one for records in epochs for one in records]


def bases(plan: ViewPlan, epochs: list[list[Placed]], as_of: list[int]) -> list[Base]:
    """The empty base, which lacks nothing, and that of each epoch."""
    found, everything = [Base(plan, complete_since(plan, EARLIEST_US))], list[Placed]()
    for records, as_of_us in zip(epochs, as_of, strict=True):
        everything += records
        found.append(found[-1].after(records, everything, as_of_us))
    return found


def served(
    plan: ViewPlan, base: Base, speed: list[StateBatch], key: bytes, at_us: int
) -> np.ndarray:
    """As the serving view reads: the base's states, and of each epoch's table the chunks that the
    question needs.
    """
    stored = [dict(zip(s.keys, s.blobs(), strict=True)) for s in [base.states, *speed]]
    blobs = [
        stored[0].get(key, b""),
        *(table.get(k, b"") for table in stored[1:] for k in chunks.needed(plan, key, at_us)),
    ]
    return kernel.read(plan, np.frombuffer(b"".join(blobs), np.int64), at_us)


def named(plan: ViewPlan, answers: np.ndarray) -> dict[str, list[float]]:
    return {o.name: answers[o.at : o.at + o.width].tolist() for o in plan.outputs}


@law
@laws
@given(worlds())
def test_any_base_and_what_came_after_it_are_the_fold_of_all_without_old_tiles(name, world):
    epochs, as_of, _ = world
    plan = plan_of(name)
    whole = kernel.lift(plan, *columns_of(all_of(epochs)))
    for n, base in enumerate(bases(plan, epochs, as_of)):
        speed = [kernel.lift(plan, *columns_of(records)) for records in epochs[n:]]
        seam = prune(kernel.merge(plan, [base.states, *speed]), base.since)
        assert seam.to_bytes() == prune(whole, base.since).to_bytes()
        since = [base.since.get(hop, kernel.EVERYTHING) for hop in range(4)]
        assert seam.to_bytes() == kernel.prune(plan, whole, since).to_bytes()


@law
@laws
@given(worlds())
def test_every_question_that_a_base_answers_has_the_documented_answer(name, world):
    """Before, at and after the base's time; about years in which nothing happened as well."""
    epochs, as_of, asked = world
    plan, everything = plan_of(name), all_of(epochs)
    tables = [kernel.lift(plan, *columns_of(records), chunked=True) for records in epochs]
    for n, base in enumerate(bases(plan, epochs, as_of)):
        moments = [
            *asked,
            base.kept_from_us,
            base.kept_from_us + 1,
            *(as_of[n - 1 : n] if n else []),
        ]
        for key, shop in ((b"a\x1f7", "a"), (b"a\x01\x1f7", "a\x01")):
            mine = [plain.Row(row, place) for row, place in everything if row["shop"] == shop]
            for at_us in (at for at in moments if at >= base.kept_from_us):
                answers = served(plan, base, tables[n:], key, at_us)
                assert (
                    answers.tobytes()
                    == np.array(fold.answers(plan.view, everything, key, at_us)).tobytes()
                )
                meant, found = plain.answers(plan.view, mine, at_us), named(plan, answers)
                assert not {o: (a, found[o]) for o, a in meant.items() if not a.agrees(found[o])}


@law
@laws
@given(worlds())
def test_a_base_answers_every_question_about_its_own_time_and_a_day_before(name, world):
    epochs, as_of, _ = world
    for base, as_of_us in zip(bases(plan_of(name), epochs, as_of)[1:], as_of, strict=True):
        assert base.kept_from_us <= as_of_us - DAY + HOUR
