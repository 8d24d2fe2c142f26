"""The client against a real HTTP server: connections, attempts, deadlines and errors, with
threads and with coroutines.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from decimal import Decimal as Exact
from typing import Any

import msgspec
import pytest

from tests.unit.client.server import BROKEN, Server, reply, serving
from twinstream import client as clients
from twinstream.client import AsyncClient, Client, Retries
from twinstream.errors import SettingsError

POSITION = {"epoch": 1, "log": {"0": 5}, "raw": {"0": 10}}
ANSWER = {
    "predictions": [0.25],
    "id": "p",
    "release": "d-e1-m",
    "position": {"spending": POSITION},
    "age_ms": None,
    "timing": {"waited_ms": 0.0, "views_ms": 1.0, "model_ms": 2.0},
}
FEATURES = {
    "view": "spending",
    "key": "a b",
    "at": 7,
    "features": {"orders": None},
    "position": POSITION,
    "age_ms": 1.5,
    "release": "d-e1",
}
RECEIPT = {"accepted": 1, "rejected": [], "position": {"orders": {"0": 12}}}
QUICK = Retries(first_s=0.001)
Make = Callable[..., Any]


class Awaited:
    """An AsyncClient that is called as a Client is: each call runs to its end."""

    def __init__(self, **more: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = self._loop.run_until_complete(self._made(more))

    async def _made(self, more: dict[str, Any]) -> AsyncClient:
        return AsyncClient(**more)

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            return self._loop.run_until_complete(getattr(self._client, name)(*args, **more))

        return call

    def metrics(self, *args: Any) -> Iterator[Any]:
        stream = self._client.metrics(*args)
        while True:
            yield self._loop.run_until_complete(anext(stream))

    def close(self) -> None:
        self._loop.run_until_complete(self._client.aclose())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


@pytest.fixture(params=[Client, Awaited], ids=["threads", "coroutines"])
def made(request: pytest.FixtureRequest, server: Server) -> Iterator[Make]:
    """Makes clients of the server, and closes them."""
    living = []

    def make(**more: Any) -> Any:
        addresses = {"predict": server.url, "ingest": server.url + "/", "monitor": server.url}
        living.append(request.param(**{**addresses, "retries": QUICK, **more}))
        return living[-1]

    yield make
    for one in living:
        one.close()


def test_calls_share_a_connection_and_are_typed(server: Server, made: Make) -> None:
    mesh = made(headers={"authorization": "Bearer t"})
    server.replies = [reply(200, ANSWER), reply(200, FEATURES), reply(200, RECEIPT)]
    found = mesh.predict("will buy", {"n": 1}, at="2026-01-01T00:00:00Z", max_staleness_ms=50)
    assert (found.predictions, found.position["spending"].raw) == ([0.25], {0: 10})
    view = mesh.view("spending", "a b", 7, min_position={"orders": {0: 12}})
    assert (view.features, view.age_ms) == ({"orders": None}, 1.5)
    assert mesh.publish_record("orders", {"id": 1}).position == {"orders": {0: 12}}
    first, second, third = server.asked
    assert len({asked.connection for asked in server.asked}) == 1
    assert first.path == "/v1/predict/will%20buy"
    assert msgspec.json.decode(first.body) == {
        "rows": [{"n": 1}],
        "at": "2026-01-01T00:00:00Z",
        "max_staleness_ms": 50,
    }
    assert second.path.startswith("/v1/views/spending?key=a+b&key=7&min_position=")
    assert (third.path, third.body) == ("/v1/records/orders", b'[{"id":1}]')
    assert {asked.headers["authorization"] for asked in server.asked} == {"Bearer t"}


def test_busy_is_asked_again_no_sooner_than_it_says(server: Server, made: Make) -> None:
    server.replies = [reply(503, {"error": "busy"}, Retry_After="1"), reply(200, ANSWER)]
    begun = time.monotonic()
    assert made().predict("m", {}).predictions == [0.25]
    assert time.monotonic() - begun >= 1.0
    assert len(server.asked) == 2


def test_attempts_are_bounded_and_the_last_answer_is_told(server: Server, made: Make) -> None:
    server.replies = [reply(503, {"error": "no model yet"})]
    with pytest.raises(clients.UnavailableError, match="no model yet") as caught:
        made().predict("m", {})
    assert (len(server.asked), caught.value.status) == (1 + QUICK.most, 503)


def test_a_wait_beyond_the_deadline_is_not_begun(server: Server, made: Make) -> None:
    server.replies = [reply(503, {"error": "busy"}, Retry_After="60")]
    begun = time.monotonic()
    with pytest.raises(clients.UnavailableError):
        made().predict("m", {}, timeout_s=5.0)
    assert time.monotonic() - begun < 4.0


def test_what_may_count_twice_is_not_sent_twice(server: Server, made: Make) -> None:
    server.replies = [reply(BROKEN, b""), reply(200, RECEIPT)]
    with pytest.raises(clients.UnreachableError):
        made().publish_records("orders", [{"id": 1}], repeatable=False)
    assert len(server.asked) == 1
    server.asked.clear()
    server.replies = [reply(BROKEN, b""), reply(200, RECEIPT)]
    assert made().publish_records("orders", [{"id": 1}]).accepted == 1
    assert [asked.body for asked in server.asked] == [b'[{"id":1}]'] * 2


def test_a_busy_door_took_nothing_so_all_is_sent_again(server: Server, made: Make) -> None:
    server.replies = [reply(503, {"error": "busy"}), reply(200, RECEIPT)]
    assert made().publish_records("orders", [{"id": 1}], repeatable=False).accepted == 1


def test_nobody_there_is_said_in_words(made: Make) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(clients.UnreachableError, match="is the mesh up"):
            made(predict=nowhere).predict("m", {})


def test_a_row_that_does_not_fit_is_told_in_its_place(server: Server, made: Make) -> None:
    problem = {"status": 400, "detail": "row 1: page: is null", "row": 1, "field": "page"}
    server.replies = [reply(207, {**ANSWER, "predictions": [0.5, problem]})]
    found = made().predict_each("m", [{"a": 1}, {}])
    assert (found.predictions[0], list(found.problems)) == (0.5, [1])
    assert (found.problems[1].field, found.problems[1].status) == ("page", 400)
    assert msgspec.json.decode(server.asked[0].body)["on_error"] == "row"


ROWS = {
    "view": "spending",
    "at": "2024-01-01T00:00:00Z",
    "rows": [{"key": "a", "features": {"n": 1}, "nulls": {}}],
    "position": None,
    "age_ms": None,
    "release": "d-e1",
}


def test_many_keys_are_one_request(server: Server, made: Make) -> None:
    server.replies = [reply(200, ROWS)]
    keys = ["a", ("b", 7), ["c", Exact("1.50")]]
    found = made().views("spending", keys, features=["n"], max_staleness_ms=5)
    assert [(row.key, row.features) for row in found.rows] == [("a", {"n": 1})]
    asked = server.asked[0]
    assert (asked.method, asked.path) == ("POST", "/v1/views/spending")
    assert msgspec.json.decode(asked.body) == {
        "keys": ["a", ["b", 7], ["c", "1.50"]],
        "features": ["n"],
        "max_staleness_ms": 5,
    }


def test_a_record_that_is_the_question_is_asked_before_it_is_published(
    server: Server, made: Make
) -> None:
    server.replies = [reply(200, ANSWER), reply(200, RECEIPT)]
    found = made().publish_and_predict("visits", {"a": 1}, "m")
    assert [asked.path for asked in server.asked] == ["/v1/predict/m", "/v1/records/visits"]
    assert (found.answer.id, found.receipt.accepted) == (ANSWER["id"], RECEIPT["accepted"])


def test_a_record_of_something_else_is_published_before_the_question(
    server: Server, made: Make
) -> None:
    server.replies = [reply(200, RECEIPT), reply(200, ANSWER)]
    made().publish_and_predict("orders", {"a": 1}, "m", [{"b": 2}])
    assert [asked.path for asked in server.asked] == ["/v1/records/orders", "/v1/predict/m"]
    body = msgspec.json.decode(server.asked[1].body)
    assert (body["rows"], body["min_position"]) == ([{"b": 2}], RECEIPT["position"])


@pytest.mark.parametrize(("rows", "asked"), [(None, 1), ([{}], 2)])
def test_what_was_done_before_an_error_is_in_its_note(
    rows: Any, asked: int, server: Server, made: Make
) -> None:
    refused = reply(400, {"error": "no"})
    server.replies = [refused] if rows is None else [reply(200, RECEIPT), refused]
    with pytest.raises(clients.InvalidInputError) as caught:
        made().publish_and_predict("visits", {}, "m", rows)
    assert len(server.asked) == asked
    notes = getattr(caught.value, "__notes__", [])
    assert [note.startswith("the record was published before") for note in notes] == [True] * (
        asked - 1
    )


def test_a_service_that_is_silent_ends_at_the_deadline(made: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        begun = time.monotonic()
        with pytest.raises(clients.DeadlineError, match=r"within 0\.3 s"):
            made(predict=url).predict("m", {}, timeout_s=0.3)
        assert time.monotonic() - begun < 5.0


@pytest.mark.parametrize(
    ("status", "body", "kind", "row", "field"),
    [
        (
            400,
            {"error": "row 3: not a number", "row": 3, "field": "amount"},
            clients.InvalidInputError,
            3,
            "amount",
        ),
        (400, {"error": "row 3: at: no moment"}, clients.InvalidInputError, -1, ""),
        (413, {"detail": "too large"}, clients.InvalidInputError, -1, ""),
        (
            422,
            {"title": "bad", "detail": "no number", "row": 0, "field": "n", "remedy": "give one"},
            clients.InvalidInputError,
            0,
            "n",
        ),
        (403, {"error": "not by this name"}, clients.ForbiddenError, -1, ""),
        (404, {"error": "no such model"}, clients.NameNotFoundError, -1, ""),
        (409, {"error": "not kept"}, clients.WindowGoneError, -1, ""),
        (500, {"error": "failed inside"}, clients.ServerFaultError, -1, ""),
        (502, b"<html>a proxy</html>", clients.UnavailableError, -1, ""),
        (504, {"error": "not reached"}, clients.StaleAnswerError, -1, ""),
        (200, b"<html>", clients.ForeignAnswerError, -1, ""),
        (200, {"predictions": "x"}, clients.ForeignAnswerError, -1, ""),
    ],
)
def test_each_error_has_its_type_and_place(
    status: int, body: Any, kind: type, row: int, field: str, server: Server, made: Make
) -> None:
    server.replies = [reply(status, body)]
    with pytest.raises(kind) as caught:
        made().predict("m", {})
    assert type(caught.value) is kind
    assert (caught.value.row, caught.value.field, len(server.asked)) == (row, field, 1)
    if status == 422:
        assert str(caught.value) == "no number (422); give one"


def test_parts_of_a_stream_add_up(server: Server, made: Make, monkeypatch: Any) -> None:
    monkeypatch.setattr("twinstream.client.encoding.PART_RECORDS", 2)
    server.replies = [
        reply(200, {"accepted": 2, "rejected": [], "position": {"orders": {"0": 1}}}),
        reply(
            207,
            {
                "accepted": 1,
                "rejected": [{"index": 1, "reason": "no id"}],
                "position": {"orders": {"0": 2, "1": 0}},
                "rejections": 1,
            },
        ),
        reply(
            400,
            {
                "accepted": 0,
                "rejected": [{"index": 0, "reason": "no id"}],
                "position": {},
                "rejections": 1,
            },
        ),
    ]
    found = made().publish_records("orders", ({"id": n} for n in range(5)))
    assert (found.accepted, found.rejections) == (3, 2)
    assert [(one.index, one.reason) for one in found.rejected] == [(3, "no id"), (4, "no id")]
    assert found.position == {"orders": {0: 2, 1: 0}}


def test_an_error_says_how_far_the_records_came(
    server: Server, made: Make, monkeypatch: Any
) -> None:
    monkeypatch.setattr("twinstream.client.encoding.PART_RECORDS", 1)
    server.replies = [reply(200, RECEIPT), reply(404, {"error": "no such source"})]
    with pytest.raises(clients.NameNotFoundError) as caught:
        made().publish_records("orders", [{"id": 1}, {"id": 2}])
    assert "1 records before it" in caught.value.__notes__[0]


def test_files_are_announced(server: Server, made: Make) -> None:
    server.replies = [reply(202, {"accepted": 2})]
    files = ["s3://raw/a.csv", clients.FileAnnounced(uri="s3://raw/b.csv", version_id="v")]
    assert made().publish_files("orders", files, file_format="csv").accepted == 2
    assert msgspec.json.decode(server.asked[0].body) == {
        "source": "orders",
        "files": [
            {"uri": "s3://raw/a.csv", "sha256": "", "version_id": ""},
            {"uri": "s3://raw/b.csv", "sha256": "", "version_id": "v"},
        ],
        "format": "csv",
    }


def metric(name: str, at_us: int, value: float = 1.0) -> dict[str, Any]:
    return {
        "name": name,
        "service": "ingest",
        "labels": {},
        "kind": "gauge",
        "unit": "1",
        "value": value,
        "quantiles": {},
        "at_us": at_us,
    }


def events(*seconds: list[dict[str, Any]]) -> bytes:
    lines = [b"retry: 2000\n\n: still here\n\ndata: not json\n\n"]
    lines += [b"data: " + msgspec.json.encode({"metrics": one}) + b"\n\n" for one in seconds]
    return b"".join(lines)


def test_each_value_of_a_metric_comes_once_over_broken_streams(server: Server, made: Make) -> None:
    server.replies = [
        reply(503, {"error": "too many listeners"}),
        reply(200, events([metric("lag", 1), metric("rows", 1)], [metric("lag", 2)])),
        reply(BROKEN, b""),
        reply(200, events([metric("lag", 2), metric("lag_old", 1)], [metric("lag", 3)])),
    ]
    stream = made().metrics("lag")
    found = [next(stream) for _ in range(4)]
    assert [(one.name, one.at_us) for one in found] == [
        ("lag", 1),
        ("lag", 2),
        ("lag_old", 1),
        ("lag", 3),
    ]


def test_a_metric_stream_that_is_refused_is_an_error(server: Server, made: Make) -> None:
    server.replies = [reply(403, {"error": "not by this name"})]
    with pytest.raises(clients.ForbiddenError):
        next(made().metrics())


def test_an_address_that_was_not_given_is_named() -> None:
    with (
        Client(predict="http://127.0.0.1:1") as mesh,
        pytest.raises(SettingsError, match="ingest="),
    ):
        mesh.publish_record("orders", {})
