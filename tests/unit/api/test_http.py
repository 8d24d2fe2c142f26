import hashlib
import threading
from typing import Any

import pytest

from tests.unit.api.fakes import NOW, World, visit
from twinstream.errors import MessageRefusedError
from twinstream.features import record
from twinstream.features.inputs import Inputs
from twinstream.protocol.batch_shapes import SHAPES


@pytest.fixture
def world() -> World:
    made = World()
    made.promote(seed=1)
    return made


def test_a_prediction_names_its_release_and_position(world: World) -> None:
    answer = world.ask([visit(), visit("s22")])
    assert answer.status_code == 200
    release = world.serving.now.active["will-buy"].release
    assert (
        answer.json["release"]
        == str(release)
        == f"{world.pipeline.digest[:8]}-e1-{release.model[:8]}"
    )
    assert len(answer.json["predictions"]) == 2
    assert all(0 < p < 1 for p in answer.json["predictions"])
    assert answer.json["position"]["spending"] == {
        "epoch": 1,
        "log": {"0": 5, "1": 6},
        "raw": {"0": 10, "1": 10},
    }
    assert set(answer.json["timing"]) == {"waited_ms", "views_ms", "model_ms"}


def test_every_row_is_published_with_what_rebuilds_it(world: World) -> None:
    answer = world.ask([visit(), visit("s22", country=None)])
    first, second = world.served
    assert [e.id for e in world.served] == [f"{answer.json['id']}-0", f"{answer.json['id']}-1"]
    assert [e.output for e in world.served] == answer.json["predictions"]
    assert first.request == visit()
    assert (first.at_us, first.batch_shape, first.release.epoch) == (NOW, 8, 1)
    assert second.features["country"] is None
    assert second.features["by-country.orders_1h"] == 0.0
    assert second.features["by-country.amount_24h"] is None
    assert first.features["spending.orders_24h"] == 3.0
    inputs = Inputs.of(world.model.inputs)
    digests = [record.digest_of(row.features, inputs) for row in (first, second)]
    assert len(bytes.fromhex(digests[0])) == hashlib.sha256().digest_size
    assert digests[0] != digests[1]


def test_a_question_that_cannot_be_remembered_is_not_answered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(list[Any]):
        def append(self, _: object) -> None:
            raise MessageRefusedError("predictions: Kafka never takes a message of 9000000 bytes")

    monkeypatch.setattr(world, "events", Full())
    answer = world.ask([visit()])
    assert (answer.status_code, "9000000 bytes" in answer.json["error"]) == (413, True)


def test_the_score_of_a_row_does_not_depend_on_its_company_of_the_same_shape(world: World) -> None:
    rows = [visit(f"{'s' * (i + 1)}") for i in range(8)]
    together = world.ask(rows).json["predictions"]
    with_others = world.ask(rows[:5]).json["predictions"]
    assert together[:5] == with_others


def test_batches_are_padded_to_few_shapes(world: World) -> None:
    world.ask([visit()] * 600)
    shapes = [e.batch_shape for e in world.served]
    assert shapes == [SHAPES[-1]] * SHAPES[-1] + [256] * (600 - SHAPES[-1])
    assert len({(e.output, e.batch_shape) for e in world.served}) == 2
    assert [len(event.rows) for event in world.events] == [256, 256, 88]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"rows": []}, 400, "1 to 1000"),
        ({"rows": [visit(), {"shopper": "s"}]}, 400, "row 1: page"),
        ({"rows": "all"}, 400, "rows"),
        ({}, 400, "rows"),
        ({"rows": [visit()], "at": "noon"}, 400, "at:"),
        ({"rows": [visit()], "max_staleness_ms": -1}, 400, "max_staleness_ms"),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(
    world: World, body: dict[str, Any], status: int, words: str
) -> None:
    answer = world.client.post("/v1/predict/will-buy", json=body)
    assert answer.status_code == status
    assert words in answer.json["error"]


def test_what_is_not_there_is_answered_with_what_is(world: World) -> None:
    answer = world.client.post("/v1/predict/other", json={"rows": [visit()]})
    assert (answer.status_code, "will-buy" in answer.json["error"]) == (404, True)
    answer = world.client.get("/v1/views/other?key=a")
    assert (answer.status_code, "spending" in answer.json["error"]) == (404, True)
    assert world.client.get("/nowhere").status_code == 404
    for partition in (2, 99, 10**30):
        answer = world.client.get(f"/v1/views/spending/states/{partition}")
        assert (answer.status_code, "0 to 1" in answer.json["error"]) == (404, True)
    assert world.client.get("/v1/predict/will-buy").status_code == 405


def test_without_a_model_a_prediction_is_refused_and_views_can_be_read() -> None:
    world = World()
    world.settle()
    answer = world.ask([visit()])
    assert (answer.status_code, "no model was promoted yet" in answer.json["error"]) == (503, True)
    assert world.client.get("/v1/views/spending?key=s1").status_code == 200
    assert world.client.get("/v1/releases").json["models"]["will-buy"]["release"] is None


def test_a_view_is_read_by_key_at_a_moment(world: World) -> None:
    answer = world.client.get("/v1/views/by-shopper?key=s1&at=2024-01-01T00:00:00Z").json
    assert (answer["view"], answer["key"], answer["at"]) == (
        "by-shopper",
        "s1",
        1_704_067_200_000_000,
    )
    assert answer["features"]["visits_1h"] == 3.0
    assert answer["features"]["dwell_3d"] == [3.0] * 4
    assert answer["position"]["epoch"] == 1
    assert answer["release"] == f"{world.pipeline.digest[:8]}-e1"
    assert world.client.get("/v1/views/by-shopper").status_code == 400


def test_an_answer_waits_for_the_position_that_is_asked_for(world: World) -> None:
    for name in ("spending", "by-country"):
        world.readers[name].on_wait = lambda reader=world.readers[name]: reader.raw.update({0: 11})
    answer = world.ask([visit()], min_position={"orders": {"0": 11}, "visits": {"1": 10}})
    assert answer.status_code == 200
    other = world.client.get('/v1/views/by-shopper?key=s1&min_position={"orders":{"0":99}}')
    assert other.status_code == 200, "what a view does not read cannot keep it waiting"
    assert answer.json["position"]["spending"]["raw"]["0"] == 11


def test_a_position_that_does_not_come_is_refused_with_where_the_view_stands() -> None:
    world = World(wait_bound_s=0.01)
    world.promote(seed=1)
    answer = world.ask([visit()], min_position={"orders": {"0": 11}})
    assert answer.status_code == 504
    assert '"raw":{"0":10' in answer.json["error"]
    assert world.served == []
    query = 'min_position={"orders":{"1":11}}'
    assert world.client.get(f"/v1/views/spending?key=s1&{query}").status_code == 504
    assert world.client.get("/v1/views/spending?key=s1&min_position=x").status_code == 400


def test_max_staleness_means_the_end_of_the_raw_topics_a_moment_ago() -> None:
    world = World(wait_bound_s=0.01)
    world.promote(seed=1)
    world.ends.now = {"orders": {0: 10, 1: -1}, "visits": {0: 10}}
    assert world.ask([visit()], max_staleness_ms=100).status_code == 200
    world.ends.now = {"orders": {0: 11}}
    assert world.ask([visit()], max_staleness_ms=100).status_code == 504
    assert world.client.get("/v1/views/spending?key=s1&max_staleness_ms=100").status_code == 504
    assert world.client.get("/v1/views/by-shopper?key=s1&max_staleness_ms=100").status_code == 200


@pytest.mark.parametrize("asked", ["-1", "nan", "soon"])
def test_a_staleness_that_is_none_is_refused(world: World, asked: str) -> None:
    answer = world.client.get(f"/v1/views/spending?key=s1&max_staleness_ms={asked}")
    assert (answer.status_code, "max_staleness_ms" in answer.json["error"]) == (400, True)


def test_a_position_of_a_source_that_is_not_defined_is_refused_rather_than_passed_over(
    world: World,
) -> None:
    answer = world.ask([visit()], min_position={"order": {"0": 11}})
    assert (answer.status_code, "order; the sources are orders" in answer.json["error"]) == (
        400,
        True,
    )
    assert (
        world.client.get('/v1/views/spending?key=s1&min_position={"order":{"0":1}}').status_code
        == 400
    )


def test_a_view_is_read_at_the_epoch_at_which_it_was_waited_for() -> None:
    world = World(landed={1}, wait_bound_s=0.01)
    world.settle()
    world.readers["spending"].landed = {1, 2}
    world.readers["spending"].behind = {1: {0: 9}}
    answer = world.client.get('/v1/views/spending?key=s1&min_position={"orders":{"0":10}}')
    assert answer.status_code == 504
    world.settle()
    answer = world.client.get('/v1/views/spending?key=s1&min_position={"orders":{"0":10}}')
    assert (answer.status_code, answer.json["position"]["raw"]["0"]) == (200, 10)


def test_an_answer_tells_how_old_it_is(world: World) -> None:
    asked = lambda: world.client.get("/v1/views/spending?key=s1").json["age_ms"]  # noqa: E731
    world.ends.before, world.ends.now = (
        {"orders": {0: 9}, "visits": {0: 9}},
        {"orders": {0: 10}, "visits": {0: 10}},
    )
    assert (asked(), world.ask([visit()]).json["age_ms"]) == (0.0, 0.0)
    world.ends.now = {"orders": {0: 11}, "visits": {0: 10}}
    assert (asked(), world.ask([visit()]).json["age_ms"]) == (250.0, 250.0)
    world.ends.before = {"orders": {0: 11}}
    assert (asked(), world.ask([visit()]).json["age_ms"]) == (None, None)


def test_the_release_moves_when_all_views_have_the_epoch(world: World) -> None:
    before = world.ask([visit()]).json
    for reader in list(world.readers.values())[:-1]:
        reader.landed = {1, 2}
    world.settle()
    assert world.ask([visit()]).json["release"] == before["release"]
    world.land(2)
    assert "-e2-" in world.ask([visit()]).json["release"]


def test_a_base_that_was_let_go_in_between_is_replaced_by_the_one_that_is_there(
    world: World,
) -> None:
    for reader in world.readers.values():
        reader.landed = {2, 3}
    answer = world.ask([visit()])
    assert answer.status_code == 200
    assert "-e3-" in answer.json["release"]


def test_a_model_of_another_definition_is_not_activated_and_told(world: World) -> None:
    before = world.serving.now.active["will-buy"]
    world.promote(seed=2, definition="0" * 64)
    assert world.serving.now.active["will-buy"] is before
    told = world.client.get("/v1/releases").json["models"]["will-buy"]
    assert told["release"] == str(before.release)
    assert "definition 000000000000" in told["reason"]


def test_a_corrupt_model_is_not_activated_and_told(world: World) -> None:
    before = world.serving.now.active["will-buy"]
    world.corrupt = True
    world.promote(seed=3)
    assert world.serving.now.active["will-buy"] is before
    assert "train again" in world.client.get("/v1/releases").json["models"]["will-buy"]["reason"]
    world.corrupt = False
    world.settle()
    assert world.serving.now.active["will-buy"].release.model != before.release.model


def test_no_answer_mixes_two_releases_when_they_are_swapped_under_load() -> None:
    world = World()
    digests = [world.promote(seed) for seed in (1, 2)]
    expected: dict[str, float] = {}
    for seed in (1, 2):
        world.promote(seed)
        answer = world.ask([visit()]).json
        expected[answer["release"]] = answer["predictions"][0]
    assert len(set(expected.values())) == len(set(digests)) == 2
    stop, wrong, answered = threading.Event(), [], []

    def load() -> None:
        client = world.app.test_client()
        while not stop.is_set():
            answer = client.post("/v1/predict/will-buy", json={"rows": [visit()]})
            answered.append(answer.status_code)
            if (
                answer.status_code != 200
                or expected[answer.json["release"]] != answer.json["predictions"][0]
            ):
                wrong.append(answer.json)

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(20):
        world.promote(1 + i % 2)
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(answered) > 20
