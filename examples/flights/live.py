"""Plays live records at a simulated clock and asks a prediction at each moment, with exactly what
was known before applied.

Lockstep: all records known up to a moment are sent; the question carries their positions,
and is answered once the views hold them.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import msgspec
from confluent_kafka import KafkaError, Message

from examples.flights.data import LiveRecord
from schemas.topics import PARTITIONER, record_sent
from twinstream.mesh.kafka.producer import KafkaProducer
from twinstream.mesh.settings import MeshSettings

ASK_TIMEOUT_S, QUEUE_S = 60.0, 30.0
RESEND_EVERY = 200
"""Every so many records one is sent twice, as a client does whose acknowledgement got lost."""
BREAK_EVERY = 500
"""Every so many records one is followed by a broken one, as a client with a bug sends:
it must be dead-lettered, and nothing else must change.
"""


class Moment(msgspec.Struct, frozen=True):
    """Questions asked at one instant, after the records known up to it."""

    at_us: int
    records: list[LiveRecord]
    rows: list[dict[str, object]]


class Answer(msgspec.Struct, frozen=True):
    """What one request returned, in the order of its rows, and how long each part took,
    milliseconds.
    """

    at_us: int
    id: str
    predictions: list[float]
    release: str
    fresh_ms: float
    answer_ms: float
    had_records: bool


class AskError(RuntimeError):
    """The predictor refused, or did not answer in time."""


def moments(
    records: Sequence[LiveRecord], questions: Sequence[tuple[int, dict[str, object]]]
) -> Iterator[Moment]:
    """Groups questions by their instant, each with the records that became known since the one
    before; both inputs ordered by time.
    """
    at = 0
    for instant, rows in groupby(questions, key=lambda question: question[0]):
        start = at
        while at < len(records) and records[at].known_us <= instant:
            at += 1
        yield Moment(instant, list(records[start:at]), [row for _, row in rows])
    if at < len(records):
        yield Moment(records[-1].known_us, list(records[at:]), [])


class Sender:
    """Sends raw records and remembers the highest offset acknowledged per source and partition.

    It lingers until `flush`, so that the records of a moment go out as one request a partition.
    """

    def __init__(self, settings: MeshSettings) -> None:
        self.positions: dict[str, dict[str, int]] = {}
        self.sent = 0
        self._failure: KafkaError | None = None
        self._producer = KafkaProducer(
            settings.kafka_client(
                acks="all", enable_idempotence=True, linger_ms=5, partitioner=PARTITIONER
            )
        )

    def send(self, records: Sequence[LiveRecord]) -> None:
        """Returns when Kafka has them all; raises AskError when it does not take one."""
        for record in records:
            self.sent += 1
            for _ in range(2 if self.sent % RESEND_EVERY == 0 else 1):
                self._produce(record, record.data)
            if self.sent % BREAK_EVERY == 0:
                self._produce(record, record.data[:-1])
            self._producer.poll(0)
        if self._producer.flush(30) or self._failure is not None:
            raise AskError(
                f"Kafka did not take every record: {self._failure or 'no answer in 30 s'}"
            )

    def _produce(self, record: LiveRecord, data: bytes) -> None:
        self._producer.enqueue(
            record_sent(record.source),
            QUEUE_S,
            value=data,
            key=record.key,
            timestamp=record.known_us // 1000,
            on_delivery=self._delivered,
        )

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failure = error
            return
        source = message.topic().split(".")[2]
        seen = self.positions.setdefault(source, {})
        partition = str(message.partition())
        seen[partition] = max(seen.get(partition, -1), message.offset())


class Asker:
    """Asks the predictor over one kept-alive connection."""

    def __init__(self, address: str, model: str) -> None:
        self._host = address.removeprefix("http://")
        self._path = f"/v1/predict/{model}"
        self._connection = http.client.HTTPConnection(self._host, timeout=ASK_TIMEOUT_S)

    def ask(self, moment: Moment, positions: dict[str, dict[str, int]], sent_at: float) -> Answer:
        """One request for all rows of a moment, answered at or beyond `positions`;
        raises AskError with the server's words.
        """
        body = {"rows": moment.rows, "at": moment.at_us, "min_position": positions}
        asked_at = time.perf_counter()
        answer = self._post(msgspec.json.encode(body))
        total_ms = (time.perf_counter() - asked_at) * 1000
        waited_ms = float(answer["timing"]["waited_ms"])
        return Answer(
            moment.at_us,
            answer["id"],
            answer["predictions"],
            answer["release"],
            (asked_at - sent_at) * 1000 + waited_ms,
            total_ms - waited_ms,
            bool(moment.records),
        )

    def _post(self, body: bytes) -> dict[str, object]:
        give_up = time.monotonic() + ASK_TIMEOUT_S
        while True:
            try:
                self._connection.request(
                    "POST", self._path, body, {"content-type": "application/json"}
                )
                response = self._connection.getresponse()
                data = response.read()
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                problem = str(error)
            else:
                if response.status == 200:
                    return msgspec.json.decode(data)
                problem = f"{response.status}: {data[:500].decode(errors='replace')}"
                if response.status < 500:
                    raise AskError(f"POST {self._path} answered {problem}")
            if time.monotonic() > give_up:
                raise AskError(
                    f"POST {self._path} on {self._host} failed for {ASK_TIMEOUT_S} s; "
                    f"the last answer was {problem}"
                )
            time.sleep(0.05)


def play(
    sender: Sender, asker: Asker, plan: Sequence[Moment], on_moment: Callable[[int, Moment], None]
) -> list[Answer]:
    """Plays all moments in order; `on_moment(number, moment)` is called before each."""
    answers = []
    for number, moment in enumerate(plan):
        on_moment(number, moment)
        sent_at = time.perf_counter()
        sender.send(moment.records)
        if moment.rows:
            answers.append(asker.ask(moment, sender.positions, sent_at))
    return answers
