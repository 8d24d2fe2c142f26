"""Questions over Kafka: what is answered, what is a dead letter, what waits, under which ids."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from predict_svc.api.adapters.kafka_questions import GATHER_S, KafkaQuestions
from predict_svc.api.questions import Questions
from schemas.events import PredictionServed
from schemas.topics import prediction_asked
from tests.unit.api.fakes import NOW, World, visit, wired
from twinstream.errors import MessageRefusedError, NotRunningError
from twinstream.mesh.quarantine import Quarantine
from twinstream.mesh.settings import MeshSettings
from twinstream.protocol.predictions import Prediction, asked_id, predictions_of

TOPIC = prediction_asked("will-buy")


class Message:
    def __init__(self, value: Any, offset: int) -> None:
        self._value, self._offset = value, offset

    def topic(self) -> str:
        return TOPIC

    def partition(self) -> int:
        return 1

    def offset(self) -> int:
        return self._offset

    def value(self) -> bytes | None:
        return self._value

    def key(self) -> None: ...

    def headers(self) -> None: ...


class Kafka:
    """Remembers events, dead letters, and what was flushed."""

    def __init__(self) -> None:
        self.events: list[PredictionServed] = []
        self.refused: dict[int, str] = {}
        self.largest = 10**9
        self.away = False

    def publish(self, event: PredictionServed) -> None:
        if sum(len(json.dumps(row.request)) for row in event.rows) > self.largest:
            raise MessageRefusedError("Kafka never takes it")
        self.events.append(wired(event))

    def refuse(self, message: Message, reason: str) -> None:
        self.refused[message.offset()] = reason

    @property
    def rows(self) -> list[Prediction]:
        return [row for event in self.events for row in predictions_of(event)]


@pytest.fixture
def world() -> World:
    made = World(wait_bound_s=0.01)
    made.promote(seed=1)
    return made


@pytest.fixture
def kafka() -> Kafka:
    return Kafka()


def questions(world: World, kafka: Kafka, most_rows: int = 256) -> Questions:
    return Questions(
        world.api, "will-buy", publish=kafka.publish, refuse=kafka.refuse, most_rows=most_rows
    )


def asked(*bodies: Any) -> list[Message]:
    data = [b if isinstance(b, bytes | None) else json.dumps(b).encode() for b in bodies]
    return [Message(value, offset) for offset, value in enumerate(data)]


def question(*shoppers: str, **more: Any) -> dict[str, Any]:
    return {"rows": [visit(shopper) for shopper in shoppers], **more}


def test_each_question_has_the_id_of_its_message_and_the_score_of_http(
    world: World, kafka: Kafka
) -> None:
    questions(world, kafka).handle(asked(question("a", "bb"), question("ccc"), question("dddd")))
    expected = world.ask([visit(s) for s in ("a", "bb", "ccc", "dddd")]).json["predictions"]
    assert [(row.id, row.output) for row in kafka.rows] == list(
        zip(
            [
                f"{asked_id(TOPIC, 1, 0)}-0",
                f"{asked_id(TOPIC, 1, 0)}-1",
                f"{asked_id(TOPIC, 1, 1)}-0",
                f"{asked_id(TOPIC, 1, 2)}-0",
            ],
            expected,
            strict=True,
        )
    )
    assert [row.request for row in kafka.rows] == [visit(s) for s in ("a", "bb", "ccc", "dddd")]
    assert kafka.refused == {}


@pytest.mark.parametrize("most_rows", [1, 3, 7, 256, 1000])
def test_how_many_are_answered_together_changes_no_id(
    world: World, kafka: Kafka, most_rows: int
) -> None:
    bodies = [question(*["s" * (i + 1)] * (i % 4 + 1)) for i in range(40)]
    questions(world, kafka, most_rows).handle(asked(*bodies, question(*["x"] * 600)))
    assert [row.id for row in kafka.rows] == [
        f"{asked_id(TOPIC, 1, i)}-{row}"
        for i, count in enumerate([*(i % 4 + 1 for i in range(40)), 600])
        for row in range(count)
    ]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (None, "does not fit"),
        (b"", "does not fit"),
        (b"\xff", "does not fit"),
        (b"[" * 9000, "does not fit"),
        ({"rows": []}, "0 rows"),
        ({"rows": [visit()] * 1001}, "1001 rows"),
        ({"rows": [visit(), {}]}, "row 1: "),
        ({"rows": [visit()], "at": "noon"}, "at: "),
        (question("a", min_position={"nothing": {"0": 1}}), "the sources are"),
        (question("a", min_position={"orders": {"0": 99}}), "did not reach"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_cannot_be_answered_is_a_dead_letter_and_costs_nobody_else(
    world: World, kafka: Kafka, bad: Any, words: str
) -> None:
    questions(world, kafka).handle(asked(question("a"), bad, question("bb")))
    assert list(kafka.refused) == [1]
    assert words in kafka.refused[1]
    assert [row.id for row in kafka.rows] == [f"{asked_id(TOPIC, 1, i)}-0" for i in (0, 2)]


def test_rows_that_fit_are_answered_when_each_is_asked_for(world: World, kafka: Kafka) -> None:
    rows = [visit("a"), {}, visit("bb"), 3]
    questions(world, kafka).handle(asked(question("z"), {"rows": rows, "on_error": "row"}))
    assert [row.id for row in kafka.rows[1:]] == [f"{asked_id(TOPIC, 1, 1)}-{i}" for i in (0, 2)]
    assert "row 1: " in kafka.refused[1]
    assert "row 3: expected" in kafka.refused[1]


def test_a_moment_of_its_own_is_asked_alone(world: World, kafka: Kafka) -> None:
    bare = {name: value for name, value in visit().items() if name != "visited_at"}
    earlier = NOW - 1_000_000
    questions(world, kafka).handle(asked({"rows": [bare]}, {"rows": [bare], "at": earlier}))
    assert [row.at_us for row in kafka.rows] == [NOW, earlier]


def test_a_question_that_fits_no_message_is_a_dead_letter(world: World, kafka: Kafka) -> None:
    kafka.largest = 1000
    questions(world, kafka).handle(asked(question("a"), question("b" * 400, page="x" * 2000)))
    assert [row.request["shopper"] for row in kafka.rows][:1] == ["a"]


def test_without_a_model_questions_wait(kafka: Kafka) -> None:
    world = World()
    world.settle()
    with pytest.raises(NotRunningError, match="cannot answer"):
        questions(world, kafka).handle(asked(question("a")))
    assert (kafka.events, kafka.refused) == ([], {})
    world.promote(seed=1)
    questions(world, kafka).handle(asked(question("a")))
    assert len(kafka.rows) == 1


class Reader:
    """Gives messages, then tells its loop to stop when all are committed."""

    def __init__(self, messages: list[Message], stop: threading.Event) -> None:
        self._messages, self._stop = messages, stop
        self.committed: list[int] = []

    def poll_raw(self, timeout: float = 1.0) -> Any:
        if self._messages:
            return self._messages.pop(0)
        if self.committed and timeout > GATHER_S:
            self._stop.set()
        return None

    def commit(self, message: Message) -> None:
        self.committed.append(message.offset())


class Letters:
    def __init__(self) -> None:
        self.reasons: list[str] = []

    def put_message(self, message: Message, reason: str, **_: Any) -> None:
        self.reasons.append(reason)


class Meter:
    def count(self, *_: Any, **__: Any) -> None: ...


def loop(
    world: World, kafka: Kafka, messages: list[Message], tmp_path: Any, flush: Any
) -> tuple[Reader, Letters]:
    stop, letters = threading.Event(), Letters()
    reader = Reader(messages, stop)
    quarantine = Quarantine(
        MeshSettings(pipeline="none", data=str(tmp_path)), "predict", letters, Meter()
    )
    asked_of = Questions(
        world.api, "will-buy", publish=kafka.publish, refuse=quarantine.refuse, most_rows=256
    )
    KafkaQuestions(reader, asked_of, quarantine, flush=flush, most=10).run(stop)
    return reader, letters


def test_a_batch_is_committed_when_kafka_has_its_events(
    world: World, kafka: Kafka, tmp_path: Any
) -> None:
    had: list[int] = []
    messages = asked(*[question(f"s{i}") for i in range(25)], {"rows": 3})
    reader, letters = loop(world, kafka, messages, tmp_path, lambda: had.append(len(kafka.rows)))
    assert reader.committed == [9, 19, 25]
    assert had == [10, 20, 25]
    assert len(letters.reasons) == 1


def test_a_question_that_nobody_foresaw_ends_the_process_and_is_then_a_dead_letter(
    world: World, kafka: Kafka, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends twice with it; others before it are answered each time, under their ids."""
    predict = world.predictor.predict

    def failing(active: Any, body: Any) -> Any:
        if any(row["shopper"] == "bug" for row in body.rows):
            raise ZeroDivisionError("nobody foresaw it")
        return predict(active, body)

    monkeypatch.setattr(world.predictor, "predict", failing)

    def messages() -> list[Message]:
        return asked(question("a"), question("bug"), question("bb"))

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            loop(world, kafka, messages(), tmp_path, lambda: None)
    reader, letters = loop(world, kafka, messages(), tmp_path, lambda: None)
    assert reader.committed == [2]
    assert ["ZeroDivisionError" in reason for reason in letters.reasons] == [True]
    assert {row.id for row in kafka.rows} == {f"{asked_id(TOPIC, 1, i)}-0" for i in (0, 2)}
