"""The contract of an object store that fences, on the fake and on the real one."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.objects import Objects
from twinstream.errors import ObjectMissingError
from twinstream.mesh.object_store import ObjectStore

pytestmark = pytest.mark.engine


@pytest.fixture(params=["fake", "real"])
def store(request: pytest.FixtureRequest) -> tuple[Any, str]:
    """A store, and a bucket of it that exists."""
    if request.param == "fake":
        return Objects(), "warehouse"
    settings = request.getfixturevalue("s3")
    return ObjectStore(settings), settings.bucket


def test_what_is_there_is_not_written_over(store: tuple[Any, str]) -> None:
    objects, bucket = store
    key = f"fence/{uuid4().hex}"
    assert objects.create(bucket, key, b"first")
    assert not objects.create(bucket, key, b"second")
    assert objects.get(bucket, key) == b"first"
    assert objects.list(bucket, key) == [key]


def test_who_sends_its_own_again_has_created_it(store: tuple[Any, str]) -> None:
    """A client sends a put again when its answer was lost on the way."""
    objects, bucket = store
    key = f"fence/{uuid4().hex}"
    assert objects.create(bucket, key, b"mine, 8f3a")
    assert objects.create(bucket, key, b"mine, 8f3a")


def test_what_was_deleted_can_be_created_again(store: tuple[Any, str]) -> None:
    objects, bucket = store
    key = f"fence/{uuid4().hex}"
    assert objects.create(bucket, key, b"first")
    objects.delete(bucket, key)
    objects.delete(bucket, key)
    with pytest.raises(ObjectMissingError):
        objects.get(bucket, key)
    assert objects.create(bucket, key, b"second")


def test_put_writes_over_and_list_sees_it_at_once(store: tuple[Any, str]) -> None:
    objects, bucket = store
    folder = f"fence/{uuid4().hex}"
    for number in range(3):
        objects.put(bucket, f"{folder}/{number}", b"x")
        objects.put(bucket, f"{folder}/{number}", b"y")
    assert objects.list(bucket, f"{folder}/") == [f"{folder}/{number}" for number in range(3)]
    assert objects.get(bucket, f"{folder}/2") == b"y"
