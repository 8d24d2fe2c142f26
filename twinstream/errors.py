"""Errors that a user can act on, in three kinds that the run loop acts on.
Leaves also inherit the builtin that fits.
"""

# `TransientError`: try again, with a bound. `PermanentError`: this input is wrong and stays so.
# Anything else is a bug.

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

UNDECODABLE: Final = (
    msgspec.MsgspecError,
    UnicodeDecodeError,
    TypeError,
    ValueError,
    ArithmeticError,
    RecursionError,
)
"""What the JSON decoder raises on bytes that it cannot take: no JSON, no UTF-8, no bytes at all,
nested too deep.
"""


class MeshError(Exception):
    """Something the mesh cannot go on with; the message says what, where, and what to do."""


class TransientError(MeshError):
    """An engine does not answer now: the same input may succeed later, so it is tried again with a
    bound and a backoff.
    """


class PermanentError(MeshError):
    """This input is wrong, now and later: its original bytes become a dead letter,
    and work goes on with the next input.
    """


class SettingsError(PermanentError, ValueError):
    """A setting is missing or wrong."""


class ObjectMissingError(PermanentError, LookupError):
    """An object, or a version of it, is not on S3."""


class ObjectExistsError(PermanentError, FileExistsError):
    """An object was to be written only where none is, and there is one."""


class ObjectRefusedError(PermanentError, ValueError):
    """S3 answers that it will never give this object, or the name is not one of an S3 object."""


class TrainingSetCorruptError(PermanentError, ValueError):
    """A training set is not what its event pins, or not what its model takes."""


class StorageUnavailableError(TransientError, ConnectionError):
    """S3 does not answer, or asks to be left alone for now."""


class PublishError(TransientError, RuntimeError):
    """Kafka did not take a message within its bound."""


class QueueFullError(PublishError):
    """So many messages wait for Kafka that there was no room for another one within the bound."""


class ProducerBrokenError(PublishError):
    """A producer was fenced, or does not know any more what Kafka has: it sends nothing more,
    another one may.
    """


class MessageRefusedError(PermanentError, ValueError):
    """Kafka will never take this message: it is too large, or its timestamp is not one."""


class NotFiniteError(PermanentError, ValueError):
    """A number that is not finite was about to leave this process."""


class UndecodableEventError(PermanentError, ValueError):
    """A message of a control topic is not the event that its headers claim, or is not plausible;
    `message` is what was read.
    """

    def __init__(self, text: str, message: Any = None) -> None:
        super().__init__(text)
        self.message = message


class NotRunningError(TransientError, RuntimeError):
    """The mesh, or a part of it, does not answer."""


class WaitTimeoutError(TransientError, TimeoutError):
    """What was waited for did not happen within its bound."""


class DefinitionError(PermanentError, ValueError):
    """A definition is wrong: says where in the user's file, what, and the remedy."""

    def __init__(self, message: str, remedy: str = "", file: str = "", line: int = 0) -> None:
        super().__init__(message, remedy, file, line)
        self.message, self.remedy, self.file, self.line = message, remedy, file, line

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " if self.file else ""
        return where + self.message + (f"; {self.remedy}" if self.remedy else "")


class RecordError(PermanentError, ValueError):
    """A record does not fit its source; it becomes a dead letter with this reason.

    `field`: the one that does not fit, "" when it is the record as a whole.
    """

    def __init__(self, text: str, *, field: str = "") -> None:
        super().__init__(text)
        self.field = field


class Reason(NamedTuple):
    """Why a record does not fit: the field as in a RecordError, and words that name it too."""

    field: str
    words: str

    @classmethod
    def of(cls, field: str, what: object) -> Reason:
        """Of a field that does not fit."""
        return cls(field, f"{field}: {what}")
