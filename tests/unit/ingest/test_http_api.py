"""Ingest over HTTP, with Kafka faked."""

from typing import Any

import msgspec
import pytest

from ingest_svc.http_api.bodies import MOST_RECORDS, BodyError, TooManyError, records_in
from ingest_svc.http_api.flask_api import Api, make_app
from ingest_svc.http_api.sending import MOST_REASONS, Gate
from ingest_svc.validation import Screen
from schemas.events import DataArrived
from twinstream import Int, Source, String, Timestamp
from twinstream.define.records import Decoder
from twinstream.errors import PublishError
from twinstream.mesh.clock import ManualClock

SOURCE = Source(
    "orders",
    id="order",
    key="buyer",
    event_time="at",
    fields={"order": String(), "buyer": Int(), "at": Timestamp()},
)
GOOD = b'{"order":"1","buyer":42,"at":1700000000000000}'


class Kafka:
    """Takes what it is sent, or nothing."""

    def __init__(self) -> None:
        self.records, self.events, self.away, self.known = [], [], False, ""

    def send(self, source, records):
        if self.away:
            raise PublishError("Kafka has not taken all of the records: no answer")
        self.records += records
        return {1: len(self.records) - 1}

    def publish(self, event, key=None, *, wait=True):
        self.events.append(event)


ARRIVAL = b'{"source": "orders", "files": [{"uri": "s3://b/k.csv", "sha256": ""}]}'


class Meter:
    def count(self, *_, **__): ...
    def gauge(self, *_, **__): ...
    def observe(self, *_, **__): ...


@pytest.fixture
def kafka() -> Kafka:
    return Kafka()


@pytest.fixture
def client(kafka: Kafka):
    gates = {"orders": Gate(SOURCE, Screen(Decoder(SOURCE), 1000))}
    return make_app(
        Api(
            gates=gates,
            raw=kafka,
            events=kafka,
            meter=Meter(),
            clock=ManualClock(5),
            away=lambda: kafka.known,
        )
    ).test_client()


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (GOOD, 1),
        (b" " + GOOD + b"\n", 1),
        (b"{\n" + GOOD[1:], 1),
        (GOOD + b"\n" + GOOD, 2),
        (GOOD + b"\r\n\n" + GOOD + b"\n", 2),
        (b"[" + GOOD + b"," + GOOD + b"]", 2),
        (b"[]", 0),
        (b"not json", 1),
    ],
)
def test_a_body_is_an_object_a_list_or_lines(body: bytes, count: int) -> None:
    assert len(records_in(body)) == count


@pytest.mark.parametrize("body", [b"", b" \n", b"[1"])
def test_a_body_that_is_nothing_of_these_is_refused(body: bytes) -> None:
    with pytest.raises(BodyError):
        records_in(body)


def test_records_travel_as_they_were_sent_under_their_source_key(client, kafka: Kafka) -> None:
    answer = client.post("/v1/records/orders", data=GOOD)
    assert (answer.status_code, answer.json) == (
        200,
        {"accepted": 1, "rejected": [], "position": {"orders": {"1": 0}}},
    )
    assert kafka.records == [(b"42", GOOD)]


def test_the_good_ones_are_taken_and_the_bad_ones_are_told_when_a_batch_is_mixed(
    client, kafka: Kafka
) -> None:
    answer = client.post(
        "/v1/records/orders",
        data=b"\n".join([GOOD, b"{", GOOD, b'{"order":"2"}', b'"' + b"x" * 1000 + b'"']),
    )
    assert answer.status_code == 207
    assert (answer.json["accepted"], [r["index"] for r in answer.json["rejected"]]) == (
        2,
        [1, 3, 4],
    )
    assert len(kafka.records) == 2


def test_the_status_says_what_is_wrong(client, kafka: Kafka) -> None:
    assert client.post("/v1/records/orders", data=b"{}").status_code == 400
    assert client.post("/v1/records/nobody", data=GOOD).status_code == 404
    assert client.get("/v1/records/orders").status_code == 405
    assert "source 'nobody'" in client.post("/v1/records/nobody", data=GOOD).json["error"]
    kafka.away = True
    assert client.post("/v1/records/orders", data=GOOD).status_code == 503


def test_while_kafka_is_known_to_be_away_nobody_waits_for_it(client, kafka: Kafka) -> None:
    kafka.known = "Kafka has not answered for 7 s"
    for path, body in (("records/orders", GOOD), ("data-arrived", ARRIVAL)):
        answer = client.post(f"/v1/{path}", data=body)
        assert (answer.status_code, answer.json["error"]) == (503, kafka.known)
        assert answer.headers["Retry-After"] == "1"
    assert (kafka.records, kafka.events) == ([], [])
    assert (client.get("/livez").status_code, client.get("/readyz").status_code) == (200, 503)
    assert "Kafka" in client.get("/readyz").json["reason"]


def test_an_arrival_is_published_with_its_time(client, kafka: Kafka) -> None:
    event = {"source": "orders", "files": [{"uri": "s3://b/k.csv", "sha256": ""}]}
    assert client.post("/v1/data-arrived", data=msgspec.json.encode(event)).status_code == 202
    assert isinstance(kafka.events[0], DataArrived)
    assert kafka.events[0].arrived_at_us == 5
    assert (
        client.post("/v1/data-arrived", data=b'{"source":"orders","files":[]}').status_code == 400
    )
    assert client.post("/v1/data-arrived", data=b"{}").status_code == 400
    assert kafka.events[1:] == []


def test_many_bad_records_are_counted_and_the_first_of_them_named(client: Any) -> None:
    answer = client.post("/v1/records/orders", data=b'{"a":1}\n' * 1_000)
    assert answer.status_code == 400
    assert (len(answer.json["rejected"]), answer.json["rejections"]) == (MOST_REASONS, 1_000)


@pytest.mark.parametrize(
    "body", [b"{}\n" * (MOST_RECORDS + 1), b"[" + b"1," * MOST_RECORDS + b"1]"]
)
def test_more_records_than_are_taken_at_a_time_are_refused_whole(body: bytes) -> None:
    with pytest.raises(TooManyError):
        records_in(body)


def test_what_is_nested_too_deep_to_be_read_is_refused(client: Any) -> None:
    """A record alone is judged as a record."""
    deep = b"[" * 9_000
    assert client.post("/v1/records/orders", data=deep).status_code == 422
    assert client.post("/v1/data-arrived", data=b'{"x":' + deep).status_code == 422
    assert client.post("/v1/records/orders", data=b'{"a":' * 9_000).status_code == 400


@pytest.mark.parametrize("body", [b"{", b'{"a":' * 5, b"\xff\xfe", b"[1,", b"\x00"])
def test_bodies_that_are_no_records_are_bad_requests_or_bad_records(
    client: Any, body: bytes
) -> None:
    for path in ("/v1/records/orders", "/v1/data-arrived"):
        assert client.post(path, data=body[:9_000]).status_code == 400


NOT_TEXT = [b"\xff", b"\xe9" * 9, b"\xed\xa0\x80", b"\xc0\xaf"]


@pytest.mark.parametrize("odd", NOT_TEXT)
@pytest.mark.parametrize(
    "body",
    [
        b'"%s"',
        b'{"%s":1}',
        b'{"source":"%s"}',
        b'{"source":"orders","x":"%s"}',
        b'{"source":"orders","files":[{"uri":"%s","sha256":""}]}',
    ],
)
def test_what_is_no_utf_8_is_a_bad_request_wherever_it_lies(
    client: Any, kafka: Kafka, body: bytes, odd: bytes
) -> None:
    """A text that is not UTF-8 inside valid JSON once was a 500 of an arrival."""
    for path in ("/v1/data-arrived", "/v1/records/orders"):
        assert client.post(path, data=body % odd).status_code == 400
    assert not kafka.events
    assert not kafka.records


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b"\n\xef\xbb\xbf", b"\xef\xbb\xbf\r\n"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r", b"\r\r", b"\n\r\n"])
def test_lines_end_as_in_files_and_a_mark_is_passed_over(mark: bytes, end: bytes) -> None:
    assert records_in(mark + GOOD) == [GOOD]
    assert records_in(mark + b"[" + GOOD + b"]") == [GOOD]
    assert records_in(mark + GOOD + end + GOOD + end) == [GOOD, GOOD]
    with pytest.raises(TooManyError):
        records_in(mark + b"{}" + end + (b"{}" + end) * MOST_RECORDS)
