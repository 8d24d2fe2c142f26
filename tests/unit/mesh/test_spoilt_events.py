"""No message of a control topic makes its reader raise anything but that it cannot be believed."""

from __future__ import annotations

from itertools import islice

import msgspec
import pytest

from schemas import events as ev
from schemas.topics import topic_of
from tests.poison.corpus import Dice, Spoilt, event_topics, example, kinds_of, spoilt_events
from tests.unit.mesh.fakes import Message
from twinstream.errors import UndecodableEventError
from twinstream.mesh.events import event_of

EACH = 400


def read(topic: str, spoilt: Spoilt) -> ev.Event | None:
    """The event, None when nobody may believe it."""
    try:
        return event_of(Message(data=spoilt.value, of=topic, head=list(spoilt.headers)))
    except UndecodableEventError:
        return None


@pytest.mark.parametrize("topic", event_topics())
def test_a_spoilt_event_is_refused_or_read_and_never_raises_otherwise(topic: str) -> None:
    believed = [s for s in islice(spoilt_events(topic, seed=1), EACH) if read(topic, s) is not None]
    assert [spoilt.how for spoilt in believed if spoilt.certain] == []


@pytest.mark.parametrize("kind", ev.EVENT_TYPES.values(), ids=lambda kind: kind.__name__)
def test_what_the_corpus_takes_for_true_is_believed(kind: type[ev.Event]) -> None:
    """Else what it spoils would be refused for another reason."""
    for seed in range(20):
        value = msgspec.json.encode(example(kind, Dice(seed)))
        head = [("ce_type", kind.__name__.encode())]
        assert isinstance(event_of(Message(data=value, of=topic_of(kind), head=head)), kind)


def test_the_corpus_covers_every_event_and_is_the_same_for_a_seed() -> None:
    topics = event_topics()
    assert {kind for topic in topics for kind in kinds_of(topic)} == set(ev.EVENT_TYPES.values())
    for topic in topics:
        first, second = (list(islice(spoilt_events(topic, seed=7), 50)) for _ in range(2))
        assert first == second
