"""No answer without its event: it is kept before the answer goes out, or there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from predict_svc.api.journal import SEGMENT_BYTES, Journal, left_behind
from predict_svc.api.messages import NotReadyError
from predict_svc.api.publishing import Remembering
from schemas.events import PredictionServed, Release, decode
from twinstream.errors import MessageRefusedError
from twinstream.mesh.events import EventPublisher
from twinstream.mesh.settings import MeshSettings

CLUSTER = MeshSettings(pipeline="none", kafka_options="test.mock.num.brokers=1")
NOWHERE = MeshSettings(pipeline="none", kafka="127.0.0.1:1", kafka_options="log_level=0")


def answer(name: str = "1") -> PredictionServed:
    release = Release(definition="d", epoch=1, model="w")
    return PredictionServed(
        id=name, model="late", release=release, inputs=[], positions={}, places={}, rows=[]
    )


class Desk:
    """A predictor's end of the way to Kafka."""

    def __init__(
        self,
        folder: Path,
        settings: MeshSettings = NOWHERE,
        *,
        most: int = 3,
        refuse: bool = True,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self.lost: list[int] = []
        self.publisher = EventPublisher(settings, "/tests", lost=self.lost.append)
        self.journal = Journal(folder, segment_bytes)
        self.remembering = Remembering(
            self.publisher, self.journal, most=most, refuse=refuse, lost=self.lost.append
        )


def kept(folder: Path) -> list[str]:
    """Ids of the events that wait for Kafka there."""
    return [
        decode("PredictionServed", entry.value).id
        for segment in left_behind(folder)
        for _, entry in segment.unsent()
    ]


def test_an_answer_is_kept_while_kafka_is_away(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.remembering(answer("1"))
    desk.remembering(answer("2"))
    desk.journal.close()
    assert kept(tmp_path) == ["1", "2"]


def test_an_answer_that_kafka_has_is_kept_no_more(tmp_path: Path) -> None:
    desk = Desk(tmp_path, CLUSTER)
    desk.remembering(answer())
    desk.publisher.flush()
    desk.journal.close()
    assert list(tmp_path.iterdir()) == []


def test_an_answer_that_is_refused_is_not_kept(tmp_path: Path) -> None:
    desk = Desk(tmp_path, CLUSTER)
    with pytest.raises(MessageRefusedError):
        desk.remembering(answer("x" * 9_000_000))
    desk.journal.close()
    assert kept(tmp_path) == []


def test_with_too_many_waiting_there_is_no_room(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for number in range(3):
        assert desk.remembering.room()
        desk.remembering(answer(str(number)))
    assert not desk.remembering.room()


def test_where_answers_go_on_each_that_is_not_kept_is_counted(tmp_path: Path) -> None:
    desk = Desk(tmp_path, refuse=False)
    for number in range(5):
        assert desk.remembering.room()
        desk.remembering(answer(str(number)))
    desk.journal.close()
    assert (sum(desk.lost), kept(tmp_path)) == (2, ["0", "1", "2"])


def test_a_full_disk_refuses_the_question(tmp_path: Path) -> None:
    desk = Desk(tmp_path, segment_bytes=1 << 62)
    with pytest.raises(NotReadyError, match="cannot be remembered on this host"):
        desk.remembering(answer())


def test_a_full_disk_stops_no_answer_where_answers_go_on(tmp_path: Path) -> None:
    desk = Desk(tmp_path, refuse=False, segment_bytes=1 << 62)
    desk.remembering(answer())
    assert (len(desk.publisher), desk.lost) == (1, [])
