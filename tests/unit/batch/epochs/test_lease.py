"""One of several batch processes is at work, by a lease that no clock of another host decides."""

from __future__ import annotations

import threading

import msgspec
import pytest

from preprocess_svc.batch.epochs.lease import FencedError, Lease, NoFenceError, Owner, owner_of
from tests.objects import Objects
from twinstream.errors import StorageUnavailableError

LEASE_S = 30.0


class Host:
    """A host with its own clock."""

    def __init__(self, objects: Objects, name: str, folder: str = "") -> None:
        self.now_s = 0.0
        owner = Owner(name=name, folder=folder or name, host=name)
        self.lease = Lease(objects, ("warehouse", "shop"), owner, LEASE_S, lambda: self.now_s)

    def after(self, seconds: float) -> bool:
        self.now_s += seconds
        return self.lease.try_once()


def test_the_first_is_at_work_at_once_and_the_second_waits_and_says_for_whom() -> None:
    objects = Objects()
    first, second = Host(objects, "one"), Host(objects, "two")
    assert first.lease.try_once()
    assert not second.lease.try_once()
    assert "on one is at work (generation 1)" in second.lease.reason


def test_one_that_beats_is_waited_for_for_ever() -> None:
    objects = Objects()
    first, second = Host(objects, "one"), Host(objects, "two")
    first.lease.try_once()
    for _ in range(20):
        assert not second.after(LEASE_S - 1)
        first.lease.beat()


def test_one_that_falls_silent_is_followed_after_the_lease_and_ends_when_it_wakes() -> None:
    objects = Objects()
    first, second = Host(objects, "one"), Host(objects, "two")
    first.lease.try_once()
    assert not second.lease.try_once()
    assert not second.after(LEASE_S - 1)
    assert second.after(1)
    assert second.lease.generation == 2
    with pytest.raises(FencedError, match="two has taken over as generation 2"):
        first.lease.beat()
    second.lease.beat()


def test_dates_of_another_host_decide_nothing() -> None:
    """A new one has to see silence for a whole lease itself, however long it lasted before."""
    objects = Objects()
    Host(objects, "one").lease.try_once()
    late = Host(objects, "two")
    late.now_s = 1e9
    assert not late.lease.try_once()
    assert late.after(LEASE_S)


def test_one_that_ended_as_asked_is_followed_at_once() -> None:
    objects = Objects()
    first, second = Host(objects, "one"), Host(objects, "two")
    first.lease.try_once()
    first.lease.release()
    first.lease.beat()
    assert second.lease.try_once()


def test_one_that_was_killed_is_followed_at_once_in_its_own_folder() -> None:
    """The lock of the folder says that it is gone."""
    objects = Objects()
    assert Host(objects, "one", "here").lease.try_once()
    again = Host(objects, "one again", "here")
    assert again.lease.try_once()
    assert again.lease.generation == 2


def test_of_two_that_wait_one_takes_over() -> None:
    objects = Objects()
    Host(objects, "one").lease.try_once()
    waiting = [Host(objects, "two"), Host(objects, "three")]
    assert [host.lease.try_once() for host in waiting] == [False, False]
    assert [host.after(LEASE_S) for host in waiting] == [True, False]
    assert "on two is at work (generation 2)" in waiting[1].lease.reason
    assert len(objects.kept) == 1


def test_one_that_looked_long_ago_cannot_take_a_generation_that_is_past() -> None:
    objects = Objects()
    first, slow = Host(objects, "one"), Host(objects, "slow")
    first.lease.try_once()
    slow.lease.try_once()
    for number in range(3):
        first = Host(objects, f"next {number}", first.lease._owner.folder)
        assert first.lease.try_once()
    objects.create("warehouse", first.lease._key(2), b"")  # as `slow` would, on its old list
    slow.lease.generation = 2
    with pytest.raises(FencedError):
        slow.lease.beat()


def test_a_holder_whose_words_are_not_known_here_is_waited_for_while_they_change() -> None:
    objects = Objects()
    first, second = Host(objects, "one"), Host(objects, "two")
    first.lease.try_once()
    for number in range(3):
        objects.put("warehouse", first.lease._key(1), b"of the future %d" % number)
        assert not second.after(LEASE_S)
    assert second.after(LEASE_S)


def test_a_store_that_ignores_the_condition_is_refused() -> None:
    class Careless(Objects):
        def create(self, bucket: str, key: str, data: bytes) -> bool:
            self.put(bucket, key, data)
            return True

    with pytest.raises(NoFenceError, match="If-None-Match"):
        Host(Careless(), "one").lease.try_once()


def test_s3_that_is_away_is_waited_for_and_named() -> None:
    class Away(Objects):
        def list(self, bucket: str, prefix: str = "") -> list[str]:
            stopping.set()
            raise StorageUnavailableError("S3 does not answer")

    stopping = threading.Event()
    host = Host(Away(), "one")
    assert not host.lease.acquire(stopping)
    assert "S3 does not answer" in host.lease.reason


def test_a_data_folder_keeps_its_name(tmp_path: object) -> None:
    one, two = owner_of(str(tmp_path)), owner_of(str(tmp_path))
    assert one.folder == two.folder
    assert one.name != two.name
    assert msgspec.json.decode(msgspec.json.encode(one), type=Owner) == one
