"""The Open Inference Protocol: Triton's own clients at a real door, and what they do not do."""

from __future__ import annotations

import asyncio
import gzip
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException

from predict_svc.api.inference import tensor_routes
from predict_svc.api.inference.tensor_values import texts_to_bytes
from predict_svc.api.lane import PREFIX, lane
from predict_svc.api.routes import application
from tests.unit.api.fakes import NOW, World
from tests.unit.api.real_door import serving_door
from twinstream.mesh import door
from twinstream.mesh.door import Door, DoorSettings, hosts_of

SHOPPERS = ["s1", "s22", "é€"]
PAGES = ["/", "/a", "/"]
COUNTRIES = ["NZ", "DE", "NZ"]
MOBILE = [True, False, True]
MODEL = "will-buy"


def rows() -> list[dict[str, Any]]:
    """The question that the tensors below ask."""
    fields = zip(SHOPPERS, PAGES, COUNTRIES, MOBILE, strict=True)
    return [
        {"shopper": s, "page": p, "country": c, "mobile": m, "visited_at": NOW}
        for s, p, c, m in fields
    ]


@pytest.fixture(scope="module")
def world() -> World:
    made = World()
    made.promote(seed=1)
    return made


@pytest.fixture(scope="module")
def address(world: World) -> Iterator[str]:
    settings = DoorSettings(
        hosts=hosts_of("127.0.0.1", ""),
        body_bytes=1_000_000,
        live=(door.LIVE, tensor_routes.LIVE),
        ready=(door.READY, tensor_routes.READY),
    )
    made = Door(application(world.api), settings, lambda *_, **__: None, {PREFIX: lane(world.api)})
    with serving_door(made) as found:
        yield found


def tensor(kind: Any, name: str, values: Any, datatype: str, *, binary: bool = True) -> Any:
    array = np.array(values, dtype=object if datatype == "BYTES" else None)
    made = kind(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


def tensors(kind: Any = triton.InferInput, *, binary: bool = True, repeat: int = 1) -> list[Any]:
    columns = (
        ("shopper", SHOPPERS, "BYTES"),
        ("page", PAGES, "BYTES"),
        ("country", COUNTRIES, "BYTES"),
        ("mobile", MOBILE, "BOOL"),
        ("visited_at", [NOW] * len(SHOPPERS), "INT64"),
    )
    return [tensor(kind, n, v * repeat, d, binary=binary) for n, v, d in columns]


def asked_plainly(world: World, asked: list[dict[str, Any]]) -> list[float]:
    predictions: list[float] = world.ask(asked).json["predictions"]
    return predictions


@pytest.mark.parametrize("packed_answer", [None, "gzip", "deflate"])
@pytest.mark.parametrize("packed", [None, "gzip", "deflate"])
@pytest.mark.parametrize("binary", [False, True])
def test_tritons_client_gets_what_a_question_gets(
    world: World, address: str, binary: bool, packed: str | None, packed_answer: str | None
) -> None:
    expected = asked_plainly(world, rows() * 40)
    before = len(world.served)
    with triton.InferenceServerClient(address) as client:
        found = client.infer(
            MODEL,
            tensors(binary=binary, repeat=40),
            request_id="mine",
            request_compression_algorithm=packed,
            response_compression_algorithm=packed_answer,
        )
    served = world.served[before:]
    assert found.as_numpy("prediction").tolist() == expected
    ids = [one.decode() for one in found.as_numpy("prediction_id").tolist()]
    assert ids == [one.id for one in served]
    assert [one.output for one in served] == expected
    assert [one.request for one in served] == rows() * 40
    answer = found.get_response()
    assert (answer["id"], answer["model_name"]) == ("mine", MODEL)
    assert answer["model_version"] == world.serving.now.active[MODEL].name


@pytest.mark.parametrize("packed", [None, "gzip"])
@pytest.mark.parametrize("binary", [False, True])
def test_tritons_client_with_coroutines_gets_the_same(
    world: World, address: str, binary: bool, packed: str | None
) -> None:
    async def ask() -> Any:
        async with triton_aio.InferenceServerClient(address) as client:
            wanted = [triton_aio.InferRequestedOutput("prediction", binary_data=binary)]
            return await client.infer(
                MODEL,
                tensors(triton_aio.InferInput, binary=binary, repeat=40),
                outputs=wanted,
                request_compression_algorithm=packed,
                response_compression_algorithm=packed,
            )

    found = asyncio.run(ask())
    assert found.as_numpy("prediction").tolist() == asked_plainly(world, rows() * 40)
    assert found.as_numpy("prediction_id") is None


def test_tritons_client_reads_health_and_metadata(world: World, address: str) -> None:
    release = world.serving.now.active[MODEL].name
    with triton.InferenceServerClient(address) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready(MODEL)
        assert client.is_model_ready(MODEL, release)
        assert not client.is_model_ready("other")
        assert not client.is_model_ready(MODEL, "1")
        assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
        found = client.get_model_metadata(MODEL, release)
    assert found["versions"] == [release]
    assert {one["name"]: one["datatype"] for one in found["inputs"]} == {
        "shopper": "BYTES",
        "page": "BYTES",
        "country": "BYTES",
        "mobile": "BOOL",
        "visited_at": "INT64",
        "visit_id": "BYTES",
    }
    assert [one["name"] for one in found["outputs"]] == ["prediction", "prediction_id"]


def test_a_version_is_the_release_that_answers(world: World, address: str) -> None:
    active = world.serving.now.active[MODEL]
    with triton.InferenceServerClient(address) as client:
        for version in (active.name, active.release.model):
            assert client.infer(MODEL, tensors(), version).as_numpy("prediction").shape == (3,)
        with pytest.raises(InferenceServerException, match="has no version '7'"):
            client.infer(MODEL, tensors(), "7")
        with pytest.raises(InferenceServerException, match="there is no model 'x y'"):
            client.infer("x y", tensors())


def test_parameters_say_what_a_question_says_beside_its_rows(world: World, address: str) -> None:
    with triton.InferenceServerClient(address) as client:

        def ask(**parameters: Any) -> Any:
            given = tensors()[:-1]
            return client.infer(MODEL, given, parameters=parameters).as_numpy("prediction")

        assert ask(at=NOW).tolist() == asked_plainly(world, rows())
        ask(min_position=json.dumps({"orders": {"0": 10}}), max_staleness_ms=1000)
        for wrong in ({"at": "noon"}, {"min_position": "x"}, {"on_error": "row"}, {"at": True}):
            with pytest.raises(InferenceServerException, match=next(iter(wrong))):
                ask(**wrong)


def infer(world: World, document: dict[str, Any], raw: bytes = b"", **headers: str) -> Any:
    """What the protocol answers to JSON and bytes behind it."""
    head = json.dumps(document).encode()
    if raw:
        headers.setdefault("Inference-Header-Content-Length", str(len(head)))
    path = f"/v2/models/{MODEL}/infer"
    return world.client.post(path, data=head + raw, headers=headers)


def column(name: str, datatype: str, data: list[Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(data)], "data": data, **more}


def plain() -> list[dict[str, Any]]:
    """The same question as JSON."""
    return [
        column("shopper", "BYTES", SHOPPERS),
        column("page", "BYTES", PAGES),
        column("country", "BYTES", COUNTRIES),
        column("mobile", "BOOL", MOBILE),
        column("visited_at", "INT64", [NOW] * 3),
    ]


def without(name: str) -> list[dict[str, Any]]:
    return [one for one in plain() if one["name"] != name]


@pytest.mark.parametrize(
    "inputs",
    [
        without("country"),
        [*without("country"), column("country", "BYTES", [None, None, None])],
        [*plain(), column("country.null", "BOOL", [True, True, True])],
        [*without("country"), column("country.null", "BOOL", [True] * 3)],
    ],
    ids=["left out", "null", "masked", "only masked"],
)
def test_null_has_three_spellings(world: World, inputs: list[dict[str, Any]]) -> None:
    expected = asked_plainly(world, [row | {"country": None} for row in rows()])
    assert infer(world, {"inputs": inputs}).json["outputs"][0]["data"] == expected


def test_a_column_of_columns_is_a_column(world: World) -> None:
    inputs = [
        {**one, "shape": [3, 1], "data": [[value] for value in one["data"]]} for one in plain()
    ]
    expected = asked_plainly(world, rows())
    assert infer(world, {"inputs": inputs}).json["outputs"][0]["data"] == expected


def test_a_moment_may_be_text(world: World) -> None:
    when = column("visited_at", "BYTES", ["2023-11-14T22:13:20Z"] * 3)
    found = infer(world, {"inputs": [*without("visited_at"), when]})
    assert found.json["outputs"][0]["data"] == asked_plainly(world, rows())


BYTES = {"name": "shopper", "datatype": "BYTES", "shape": [3]}


def sized(**more: Any) -> dict[str, Any]:
    return {"inputs": [*without("shopper"), {**BYTES, **more}]}


@pytest.mark.parametrize(
    ("document", "raw", "words"),
    [
        ({"inputs": []}, b"", "rows holds 0 rows"),
        ({"inputs": plain()[:1]}, b"", "row 0: page: is null or missing"),
        ({"inputs": [*plain(), plain()[0]]}, b"", "shopper: comes twice"),
        ({"inputs": [*plain(), column("shoper", "BYTES", ["a"] * 3)]}, b"", "no such input"),
        ({"inputs": [*without("mobile"), column("mobile", "BOOL", [True])]}, b"", "mobile 1"),
        ({"inputs": [*without("mobile"), column("mobile", "INT8", [1] * 3)]}, b"", "not taken"),
        ({"inputs": [*without("page"), column("page", "BYTES", [1] * 3)]}, b"", "not of BYTES"),
        ({"inputs": [*without("mobile"), column("mobile", "BOOL", [1] * 3)]}, b"", "not of BOOL"),
        (
            {"inputs": [*without("page"), {**column("page", "BYTES", PAGES), "shape": [-3]}]},
            b"",
            "shape",
        ),
        (
            {"inputs": [*without("page"), {**column("page", "BYTES", PAGES), "shape": [3, 2]}]},
            b"",
            "shape",
        ),
        (
            {"inputs": [*without("page"), {**column("page", "BYTES", PAGES), "shape": [2]}]},
            b"",
            "counts",
        ),
        ({"inputs": [{**one, "shape": [10**9]} for one in plain()]}, b"", "1000000000 rows"),
        ({"inputs": plain(), "outputs": [{"name": "score"}]}, b"", "no output 'score'"),
        ({"inputs": "all"}, b"", "does not fit"),
        (sized(), b"", "neither data nor"),
        (sized(parameters={"binary_data_size": 99}), texts_to_bytes(SHOPPERS), "bytes are left"),
        (sized(parameters={"binary_data_size": -1}), texts_to_bytes(SHOPPERS), "bytes are left"),
        (sized(parameters={"binary_data_size": 5}), texts_to_bytes(["abcdef"])[:5], "text 0 ends"),
        (sized(parameters={"binary_data_size": 3}), b"\x01\x00\x00", "text 0 ends"),
        (sized(parameters={"binary_data_size": 5}), struct.pack("<I", 1) + b"\xff", "not UTF-8"),
        (
            sized(parameters={"binary_data_size": 5}),
            texts_to_bytes(["a"]),
            "1 values for the shape",
        ),
        (sized(parameters={"binary_data_size": 15}), texts_to_bytes(["a"] * 4), "bytes follow"),
    ],
)
def test_what_does_not_fit_is_said(
    world: World, document: dict[str, Any], raw: bytes, words: str
) -> None:
    answer = infer(world, document, raw)
    assert answer.status_code in {400, 422}, answer.data
    assert words in answer.json["error"]


@pytest.mark.parametrize("length", ["-1", "x", "0", "99999", "9" * 30, "1.0", "²"])
def test_a_header_length_that_is_none_is_refused(world: World, length: str) -> None:
    headers = {"Inference-Header-Content-Length": length}
    answer = infer(world, {"inputs": plain()}, **headers)
    assert (answer.status_code, "Inference-Header" in answer.json["error"]) == (400, True)


@pytest.mark.parametrize(
    ("packing", "data", "status"),
    [
        ("gzip", gzip.compress(b"0" * 40_000_000), 413),
        ("deflate", zlib.compress(b"0" * 40_000_000), 413),
        ("deflate", zlib.compress(b"{}")[:-2], 400),
        ("deflate", b"{}", 400),
        ("gzip", b"\x1f\x8b{}", 400),
        ("br", b"{}", 400),
    ],
)
def test_a_body_that_cannot_be_unpacked_is_refused(
    world: World, packing: str, data: bytes, status: int
) -> None:
    path = f"/v2/models/{MODEL}/infer"
    answer = world.client.post(path, data=data, headers={"Content-Encoding": packing})
    assert answer.status_code == status


def test_without_a_model_its_inputs_are_known_and_it_is_not_ready() -> None:
    world = World()
    world.settle()
    found = world.client.get(f"/v2/models/{MODEL}")
    assert (found.status_code, found.json["versions"]) == (200, [])
    assert world.client.get(f"/v2/models/{MODEL}/ready").status_code == 503
    assert infer(world, {"inputs": plain()}).status_code == 503
