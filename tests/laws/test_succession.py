"""Which model serves follows from the topic of models alone, and is the same to all who read it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor_svc.ledger import Ledger
from schemas.events import (
    CanaryChosen,
    Event,
    ModelHeld,
    ModelPromoted,
    ModelRejected,
    ModelRolledBack,
    ShadowChosen,
)
from train_svc.backlog import ModelHistory
from twinstream.cli.model_book import ModelBook
from twinstream.protocol.releases import Lifecycle
from twinstream.protocol.succession import Succession

DIGESTS = ["a1", "b2", "c3", "d4"]
OURS = "ours"


def promoted(digest: str, by: str = "", definition: str = OURS) -> ModelPromoted:
    return ModelPromoted(
        model="m",
        model_digest=digest,
        uri=f"s3://models/{digest}",
        version_ids={},
        definition_digest=definition,
        metrics={},
        by=by,
    )


def back(digest: str) -> ModelRolledBack:
    return ModelRolledBack(model="m", model_digest="", to_model_digest=digest, reason="")


def held(held: bool) -> ModelHeld:
    return ModelHeld(model="m", held=held)


digests = st.sampled_from(DIGESTS)
decisions = st.one_of(
    st.builds(promoted, digests, st.sampled_from(["", "ann"])),
    st.builds(promoted, st.sampled_from(["x9", "y8"]), st.just("ann"), st.just("theirs")),
    st.builds(back, st.sampled_from([*DIGESTS, "x9", "never"])),
    st.builds(held, st.booleans()),
    st.builds(
        ModelRejected,
        model=st.just("m"),
        model_digest=digests,
        reason=st.just(""),
        metrics=st.just({}),
    ),
)
histories = st.lists(decisions, max_size=30)


def after(events: Sequence[Event]) -> Succession:
    found = Succession()
    for event in events:
        found.apply(event)
    return found


def line(events: Sequence[Event]) -> list[str]:
    return [one.model_digest for one in after(events).line(OURS)]


def naive(events: Sequence[Event]) -> str | None:
    """The last decision that counts, found from the end of nothing but the words of the rule."""
    serving, served, is_held = None, set(), False
    for event in events:
        match event:
            case ModelHeld():
                is_held = event.held
            case ModelPromoted() if event.by or not is_held:
                served.add(event.model_digest)
                if event.definition_digest == OURS:
                    serving = event.model_digest
            case ModelRolledBack() if event.to_model_digest in served & set(DIGESTS):
                serving = event.to_model_digest
            case _:
                pass
    return serving


@given(histories)
def test_the_last_decision_that_counts_wins(events: list[Event]) -> None:
    serving = after(events).serving(OURS)
    assert (serving.model_digest if serving else None) == naive(events)


@given(histories)
def test_predictor_trainer_monitor_and_command_agree(events: list[Event]) -> None:
    lifecycle, history, ledger = Lifecycle(OURS), ModelHistory(), Ledger(OURS)
    book = ModelBook("m", OURS)
    take = {ModelPromoted: ledger.promoted_now, ModelRolledBack: ledger.rolled_back}
    take |= {ModelHeld: ledger.held, ModelRejected: lambda _event: None}
    for event in events:
        lifecycle.apply(event)
        history.apply(event)
        book.apply(event)
        take[type(event)](event)  # type: ignore[operator]
    found = [
        lifecycle.promoted.get("m"),
        history.succession.serving(OURS),
        ledger.promoted.get("m"),
        book.serving,
    ]
    assert {one.model_digest if one else None for one in found} == {naive(events)}


@given(histories)
def test_what_is_read_twice_counts_once(events: list[Event]) -> None:
    """A sender that does not know whether Kafka has an event sends it again."""
    assert line([again for event in events for again in (event, event)]) == line(events)


@given(histories, st.lists(st.builds(promoted, digests), max_size=5))
def test_while_held_the_trainer_changes_nothing(
    events: list[Event], of_the_trainer: list[Event]
) -> None:
    before = [*events, held(held=True)]
    assert line([*before, *of_the_trainer]) == line(before)


@given(histories)
def test_a_definition_is_not_moved_by_the_models_of_another(events: list[Event]) -> None:
    ours = [e for e in events if getattr(e, "definition_digest", OURS) == OURS]
    assert line(ours) == line(events)


@pytest.mark.parametrize(
    ("events", "wanted"),
    [
        ([promoted("a"), promoted("b"), promoted("c")], ["c", "b", "a"]),
        ([promoted("a"), promoted("b"), promoted("c"), back("b")], ["b", "a"]),
        ([promoted("a"), promoted("b"), promoted("c"), back("b"), back("a")], ["a"]),
        ([promoted("a"), promoted("b"), promoted("c"), back("a"), back("c")], ["c", "a"]),
        ([promoted("a"), promoted("b"), promoted("a", by="ann"), back("b")], ["b", "a"]),
        ([promoted("a"), promoted("a", by="ann")], ["a"]),
        ([promoted("a"), back("a")], ["a"]),
        ([held(held=True), promoted("a"), back("a")], []),
        ([promoted("a"), held(held=True), promoted("b"), held(held=False)], ["a"]),
        ([promoted("a"), held(held=True), promoted("b", by="ann")], ["b", "a"]),
    ],
)
def test_a_roll_back_goes_down_the_line(events: list[Event], wanted: list[str]) -> None:
    assert line(events) == wanted


def test_the_past_is_remembered_in_bounded_memory() -> None:
    found = Succession()
    for i in range(3000):
        found.apply(promoted(f"{i}", definition=f"definition-{i % 300}"))
        found.apply(promoted(f"{i}"))
    assert len(found.line(OURS)) == 1000
    assert found.known("0") is None
    assert len(found._lines) <= 100


def shadow(digest: str, definition: str = OURS) -> ShadowChosen:
    return ShadowChosen(model="m", model_digest=digest, definition_digest=definition)


@pytest.mark.parametrize(
    ("events", "wanted"),
    [
        ([shadow("a")], "a"),
        ([promoted("a"), shadow("b"), shadow("c")], "c"),
        ([shadow("b"), shadow("")], ""),
        ([shadow("b"), promoted("b")], ""),
        ([shadow("b"), promoted("a"), promoted("b"), back("a")], "b"),
        ([shadow("b"), shadow("", "theirs")], "b"),
        ([shadow("b", "theirs")], ""),
        ([held(held=True), shadow("b")], "b"),
    ],
)
def test_the_last_candidate_is_asked_while_it_does_not_serve(
    events: list[Event], wanted: str
) -> None:
    found, lifecycle = after(events).shadow(OURS), Lifecycle(OURS)
    for event in events:
        lifecycle.apply(event)
    book = ModelBook("m", OURS)
    for event in events:
        book.apply(event)
    assert (found.model_digest if found else "") == wanted
    assert lifecycle.shadows.get("m") == found
    assert book.shadow_digest == wanted


@given(histories, digests)
def test_a_candidate_changes_nothing_of_what_serves(events: list[Event], digest: str) -> None:
    assert line([one for event in events for one in (shadow(digest), event)]) == line(events)


def canary(digest: str, definition: str = OURS, share: float = 0.5) -> CanaryChosen:
    return CanaryChosen(model="m", model_digest=digest, definition_digest=definition, share=share)


@pytest.mark.parametrize(
    ("events", "wanted"),
    [
        ([canary("b")], ""),
        ([promoted("a"), canary("b"), canary("c")], "c"),
        ([promoted("a"), canary("b"), canary("", share=0.0)], ""),
        ([canary("b"), promoted("b")], ""),
        ([promoted("a"), promoted("b"), canary("b"), back("a")], "b"),
        ([promoted("a"), canary("b", "theirs")], ""),
        ([promoted("a"), held(held=True), canary("b"), shadow("c")], "b"),
    ],
)
def test_the_last_canary_answers_beside_what_serves(events: list[Event], wanted: str) -> None:
    found, lifecycle, book = after(events).canary(OURS), Lifecycle(OURS), ModelBook("m", OURS)
    for event in events:
        lifecycle.apply(event)
        book.apply(event)
    assert (found.model_digest if found else "") == wanted
    assert lifecycle.canaries.get("m") == found
    assert book.canary_digest == wanted
