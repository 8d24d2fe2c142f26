"""Which of several batch processes works: the one that holds the newest generation on S3, and
beats. The others wait, not ready, and one of them goes on when it falls silent.
"""

# It saves work, and keeps nobody from a mistake: that no epoch is published twice is kept by
# `decisions.py`, whatever clocks and pauses do to a lease. Its own time is measured here, by how
# long a beat stays the same; no date of another host is believed.

from __future__ import annotations

import socket
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog

from preprocess_svc.batch.epochs.ports import Objects
from schemas.topics import owner_prefix
from twinstream.errors import UNDECODABLE, MeshError, ObjectMissingError, TransientError
from twinstream.mesh.files import write_whole

POLL_S = 1.0
BEATS_PER_LEASE = 6
_log = structlog.get_logger()


class FencedError(MeshError, RuntimeError):
    """Another batch process has taken over from this one, which ends; started again, it waits."""


class NoFenceError(MeshError, RuntimeError):
    """The object store writes over what a conditional put must leave alone."""


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a generation. `beats` grows while it lives; `folder` names its host and data
    folder, of which a lock lets one process at a time be at work.
    """

    name: str
    folder: str
    host: str
    beats: int = 0
    ended: bool = False


class Generation(msgspec.Struct, frozen=True):
    """A generation, and what its holder says."""

    number: int
    said: bytes

    @property
    def owner(self) -> Owner | None:
        """Who holds it; None: what it says cannot be read."""
        try:
            return msgspec.json.decode(self.said, type=Owner)
        except UNDECODABLE:
            return None


class Lease:
    """A process's claim to be the one at work. `beat` and `release` are called by any thread."""

    def __init__(
        self,
        objects: Objects,
        place: tuple[str, str],
        owner: Owner,
        lease_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`place`: the bucket, and the pipeline's name."""
        self._objects, (self._bucket, pipeline) = objects, place
        self._folder = owner_prefix(pipeline) + "/"
        self._owner = owner
        self._lease_s = lease_s
        self._monotonic = monotonic
        self._seen: tuple[Generation | None, float] = (None, monotonic())
        self._lock = threading.Lock()
        self.generation = 0
        self.reason = ""
        """Why it is not held yet."""

    @property
    def owner(self) -> str:
        """The name of this process among all that ever held a lease."""
        return self._owner.name

    def acquire(self, stopping: threading.Event) -> bool:
        """Wait until this process is the one at work; False when `stopping` came first.

        Raises NoFenceError when the object store cannot keep two apart.
        """
        while not stopping.is_set():
            try:
                if self.try_once():
                    return True
            except TransientError as error:
                self._wait_for(f"S3: {error}")
            stopping.wait(POLL_S)
        return False

    def try_once(self) -> bool:
        """Take the next generation if the newest one's holder is gone."""
        newest = self._newest()
        if not self._is_gone(newest):
            return False
        number = newest.number + 1 if newest else 1
        if not self._objects.create(self._bucket, self._key(number), self._said()):
            return False
        self.generation = number
        self.reason = ""
        self._check_store()
        self._clear()
        _log.info("lease_taken", generation=number, owner=self._owner.name)
        return True

    def keep(self, stopping: threading.Event) -> None:
        """Beat until told to stop; raises FencedError when another one has taken over."""
        while not stopping.wait(self._lease_s / BEATS_PER_LEASE):
            try:
                self.beat()
            except TransientError as error:
                _log.warning("lease_not_renewed", reason=str(error))

    def beat(self) -> None:
        """Say that this process lives; raises FencedError when another one has taken over."""
        with self._lock:
            self._check()
            if not self._owner.ended:
                self._say(msgspec.structs.replace(self._owner, beats=self._owner.beats + 1))

    def release(self) -> None:
        """Let the next one go on at once."""
        with self._lock:
            self._say(msgspec.structs.replace(self._owner, ended=True))

    def _check(self) -> None:
        newest = self._newest()
        if newest is not None and newest.number > self.generation:
            raise FencedError(
                f"the batch process {_named(newest)} has taken over as generation "
                f"{newest.number}; this one was {self.generation}, and had been silent"
            )

    def _is_gone(self, newest: Generation | None) -> bool:
        """Whether nobody works: nobody ever did, or who did has ended, or was silent as long as a
        lease lasts.
        """
        return newest is None or self._has_ended(newest.owner) or self._is_silent(newest)

    def _has_ended(self, owner: Owner | None) -> bool:
        """It said goodbye, or it was at work in this very folder, whose lock is ours now."""
        return owner is not None and (owner.ended or owner.folder == self._owner.folder)

    def _is_silent(self, newest: Generation) -> bool:
        before, since_s = self._seen
        if newest != before:
            self._seen = (newest, self._monotonic())
            self._wait_for(
                f"the batch process {_named(newest)} is at work (generation {newest.number}); "
                f"this one goes on {self._lease_s:g} s after it falls silent"
            )
            return False
        return self._monotonic() - since_s >= self._lease_s

    def _wait_for(self, reason: str) -> None:
        if reason != self.reason:
            _log.warning("waiting_for_other_batch_process", reason=reason)
        self.reason = reason

    def _newest(self) -> Generation | None:
        keys = self._objects.list(self._bucket, self._folder)
        if not keys:
            return None
        try:
            said = self._objects.get(self._bucket, keys[-1])
        except ObjectMissingError:  # cleared away meanwhile, by the holder of a newer one
            return self._newest()
        return Generation(int(keys[-1].rsplit("/", 1)[1]), said)

    def _check_store(self) -> None:
        """A second put of the same generation must fail; one that does not would decide an epoch
        twice.
        """
        other = msgspec.json.encode(msgspec.structs.replace(self._owner, beats=-1))
        if self._objects.create(self._bucket, self._key(self.generation), other):
            raise NoFenceError(
                "the object store ignores If-None-Match: *, so two batch processes cannot be kept "
                "apart: take one that knows conditional writes (AWS S3 does since 2024)"
            )

    def _clear(self) -> None:
        """Forget the generations before."""
        for key in self._objects.list(self._bucket, self._folder):
            if key < self._key(self.generation):
                self._objects.delete(self._bucket, key)

    def _say(self, owner: Owner) -> None:
        self._owner = owner
        if self.generation:
            self._objects.put(self._bucket, self._key(self.generation), self._said())

    def _said(self) -> bytes:
        return msgspec.json.encode(self._owner)

    def _key(self, generation: int) -> str:
        return f"{self._folder}{generation:010d}"


def _named(generation: Generation) -> str:
    owner = generation.owner
    return "of a version that is not known here" if owner is None else f"on {owner.host}"


def owner_of(data: str) -> Owner:
    """This process; its data folder gets a name that stays."""
    file = Path(data) / "batch" / "name"
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        write_whole(file, uuid.uuid4().hex.encode(), 0o600)
    host = socket.gethostname()
    return Owner(
        name=uuid.uuid4().hex, folder=f"{host}/{file.read_text(errors='replace')}", host=host
    )
