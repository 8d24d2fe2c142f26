"""Errors that a user can act on. Leaves also inherit the builtin that fits, so that callers may catch either."""

from __future__ import annotations


class MeshError(Exception):
    """Something the mesh cannot go on with; the message says what, where, and what to do."""


class SettingsError(MeshError, ValueError):
    """A setting is missing or wrong."""


class ObjectMissingError(MeshError, LookupError):
    """An object, or a version of it, is not on S3."""


class PublishError(MeshError, RuntimeError):
    """Kafka did not take a message within its bound."""


class UndecodableEventError(MeshError, ValueError):
    """A message of a control topic is not the event that its headers claim."""


class NotRunningError(MeshError, RuntimeError):
    """The mesh, or a part of it, does not answer."""


class WaitTimeoutError(MeshError, TimeoutError):
    """What was waited for did not happen within its bound."""


class DefinitionError(MeshError, ValueError):
    """A definition is wrong: says where in the user's file, what, and the remedy."""

    def __init__(self, message: str, remedy: str = "", file: str = "", line: int = 0) -> None:
        super().__init__(message, remedy, file, line)
        self.message, self.remedy, self.file, self.line = message, remedy, file, line

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " if self.file else ""
        return where + self.message + (f"; {self.remedy}" if self.remedy else "")


class RecordError(MeshError, ValueError):
    """A record does not fit its source; it is dead-lettered with this reason."""
