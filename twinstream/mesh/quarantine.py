"""The error kinds, acted on in one place: what becomes of an input whose handling fails."""

# Permanent: a dead letter at once. Transient: raised, for the caller to try again. Bug:
# three attempts over restarts, then a dead letter and an alert.

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
import structlog

from twinstream.errors import UNDECODABLE, PermanentError, TransientError
from twinstream.mesh.dead_letters import Kind, origin_of
from twinstream.mesh.files import write_whole
from twinstream.mesh.settings import MeshSettings

ATTEMPTS = 3
KEPT = 10_000
"""So many places are remembered; the oldest is forgotten first, and would be a dead letter once
more if it were read again.
"""
_log = structlog.get_logger()
Result = TypeVar("Result")


class Letters(Protocol):
    """Where dead letters go; see `twinstream.mesh.dead_letters`."""

    def put_message(
        self,
        message: Any,
        reason: str,
        *,
        kind: Kind = "permanent",
        trace: str = "",
        **extra: object,
    ) -> None: ...


class Meter(Protocol):
    """Run-time metrics; see `twinstream.mesh.metrics`."""

    def count(self, name: str, n: float = 1, **labels: object) -> None: ...


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one input that failed: `refused` when it is a dead letter and must be passed
    over.
    """

    attempts: int = 0
    refused: bool = False
    kind: str = ""
    reason: str = ""
    at_us: int = 0


class Failures:
    """Failures by the input's place, kept in `DATA/quarantine/<name>.json` so that they survive a
    restart. Safe for threads.

    A disk that takes nothing costs only the memory over restarts, never the work.
    """

    def __init__(self, settings: MeshSettings, name: str) -> None:
        self._path = (
            Path(settings.data)
            / "quarantine"
            / f"{name}{'@' + settings.instance if settings.instance else ''}.json"
        )
        self._lock = threading.Lock()
        self._known = _read(self._path)

    def of(self, place: str) -> Failure | None:
        """What is known of the input at `place`."""
        return self._known.get(place)

    def note(self, place: str, failure: Failure) -> None:
        """Remember it."""
        with self._lock:
            self._known.pop(place, None)
            self._known[place] = failure
            while len(self._known) > KEPT:
                self._known.pop(next(iter(self._known)))
            self._write()

    def forget(self, place: str) -> None:
        """The input was handled after all."""
        with self._lock:
            if self._known.pop(place, None) is not None:
                self._write()

    def _write(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, msgspec.json.encode(self._known), 0o600)
        except OSError as error:
            _log.warning("quarantine_not_saved", path=str(self._path), reason=str(error))


class Quarantine:
    """Acts on the kinds for the inputs of one process; `name` names the process, `dead_letters`
    belong to its service.
    """

    def __init__(
        self,
        settings: MeshSettings,
        name: str,
        dead_letters: Letters,
        meter: Meter,
    ) -> None:
        self._name = name
        self._dead_letters = dead_letters
        self._meter = meter
        self.failures = Failures(settings, name)

    def handle(self, message: Any, work: Callable[[], Result]) -> Result | None:
        """What `work` returns; None when the message is, or was before, a dead letter.

        A TransientError passes through, and so do the first attempts' bugs:
        the process ends, and its successor tries again.
        """
        place = str(origin_of(message))
        known = self.failures.of(place)
        if known is not None and known.refused:
            return None
        try:
            result = work()
        except TransientError:
            raise
        except PermanentError as error:
            self.refuse(message, str(error))
            return None
        except Exception as error:  # noqa: BLE001
            # what is neither kind is a bug: counted, and raised again until the last attempt
            self.failed(message, error)
            return None
        if known is not None:
            self.failures.forget(place)
        return result

    def failed(self, message: Any, error: Exception) -> None:
        """Note a bug met at a message; raises it again until the last attempt, then the message is
        a dead letter and an alert.
        """
        place = str(origin_of(message))
        attempts = getattr(self.failures.of(place), "attempts", 0) + 1
        reason = f"{type(error).__name__}: {error}"
        self.failures.note(place, _failure(attempts, "bug", reason))
        _log.error("input_failed", place=place, attempt=attempts, of=ATTEMPTS, exc_info=error)
        if attempts < ATTEMPTS:
            raise error
        trace = "".join(traceback.format_exception(error))
        self.refuse(message, f"failed {attempts} times: {reason}", kind="bug", trace=trace)

    def refuse(
        self,
        message: Any,
        reason: str,
        *,
        kind: Kind = "permanent",
        trace: str = "",
    ) -> None:
        """Make the message a dead letter, once, however often it is read again."""
        place = str(origin_of(message))
        known = self.failures.of(place)
        if known is not None and known.refused:
            return
        self._dead_letters.put_message(message, reason, kind=kind, trace=trace, reader=self._name)
        self._meter.count("mesh_dead_letters_total", 1, process=self._name, kind=kind)
        attempts = getattr(known, "attempts", 0)
        self.failures.note(place, _failure(attempts, kind, reason, refused=True))
        _log.warning("input_refused", place=place, kind=kind, reason=reason)


def _failure(
    attempts: int,
    kind: str,
    reason: str,
    *,
    refused: bool = False,
) -> Failure:
    """As of now."""
    return Failure(
        attempts=attempts, refused=refused, kind=kind, reason=reason[:500], at_us=_now_us()
    )


def _read(path: Path) -> dict[str, Failure]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Failure])
    except (OSError, *UNDECODABLE):
        return {}


def _now_us() -> int:
    return time.time_ns() // 1000
