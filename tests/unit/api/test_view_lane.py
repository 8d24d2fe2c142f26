"""Past Flask a key is read as by Flask; what is not plainly asked goes through it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from predict_svc.api.view_lane import view_lane
from predict_svc.api.view_routes import ARROW
from tests.unit.api.fakes import NOW, World


@pytest.fixture(scope="module")
def world() -> World:
    made = World()
    made.promote(seed=1)
    return made


PLAIN = [
    ("spending", f"key=s1&at={NOW}"),
    ("spending", f"key=&at={NOW}"),
    ("spending", f"at={NOW}&key=s%201%2B%C3%A4+b"),
    ("spending", f"key=s1&feature=orders_24h&feature=amount_24h&at={NOW}"),
    ("by-country", f"key=NZ&at={NOW}&at=5"),
    ("spending", "key=s1&at=--5"),
    ("spending", "key=s1&at=%C2%B2"),
    ("spending", "key=s1&feature=nothing"),
    ("spending", "key=s1&key=s2"),
    ("spending", ""),
    ("spending", "key"),
    ("no-view", "key=s1"),
]
OTHER = [
    ("spending", b"key=s1&max_staleness_ms=5", b""),
    ("spending", b"key=s1&min_position={}", b""),
    ("spending", b"key=s1&unknown=1", b""),
    ("spending", b"key=%ff", b""),
    ("spending", b"key=\xc3\xa4", b""),
    ("spending", b"key=s1", ARROW.encode()),
    ("spending/states/0", b"", b""),
    ("", b"key=s1", b""),
]


def told_apart(body: bytes) -> dict[str, Any]:
    found = msgspec.json.decode(body, type=dict[str, Any])
    found.pop("age_ms", None)
    return found


@pytest.mark.parametrize(("view", "query"), PLAIN)
def test_the_lane_reads_as_flask_does(world: World, view: str, query: str) -> None:
    by_flask = world.client.get(f"/v1/views/{view}?{query}")
    found = view_lane(world.api)(view, query.encode(), {})
    assert found is not None
    assert found.status == by_flask.status_code
    assert told_apart(found.body) == told_apart(by_flask.data)
    assert dict(found.headers)["content-type"] == by_flask.content_type


@pytest.mark.parametrize(("view", "query", "accept"), OTHER)
def test_what_is_not_plain_goes_through_flask(
    world: World, view: str, query: bytes, accept: bytes
) -> None:
    assert view_lane(world.api)(view, query, {b"accept": accept}) is None
