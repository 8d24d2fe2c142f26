"""What a client's call can end with, by what its caller can do about it; all are MeshErrors."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from twinstream.client.answers import RowProblem
from twinstream.errors import UNDECODABLE, MeshError, PermanentError, TransientError

LONGEST_TEXT = 2000


class ClientError(MeshError):
    """Any of them. `status`: of the HTTP answer, 0 for none; `row`: -1 for none; `field`,
    `remedy`: "" where not known.
    """

    remedy_otherwise = ""

    def __init__(
        self,
        text: str,
        *,
        status: int = 0,
        row: int = -1,
        field: str = "",
        remedy: str = "",
    ) -> None:
        remedy = remedy or self.remedy_otherwise
        super().__init__(f"{text}; {remedy}" if remedy else text)
        self.text, self.status, self.row, self.field = text, status, row, field
        self.remedy = remedy


class InvalidInputError(ClientError, PermanentError, ValueError):
    """The request does not fit: `row` and `field` say where, if the service does."""


class NameNotFoundError(ClientError, PermanentError, LookupError):
    """There is no such model, view or source."""


class WindowGoneError(ClientError, PermanentError):
    """What is kept cannot answer for that moment any more."""


class ForbiddenError(ClientError, PermanentError):
    """The service, or what stands before it, does not let this client in."""


class UnavailableError(ClientError, TransientError):
    """The service is not ready, or has too much to do; asked again, it went on saying so."""

    remedy_otherwise = "twinstream status says what is not ready"


class StaleAnswerError(ClientError, TransientError):
    """What the answer had to contain was not there within the service's bound."""


class ServerFaultError(ClientError, TransientError):
    """The service failed inside."""

    remedy_otherwise = "the log of the service says why"


class UnreachableError(ClientError, TransientError, ConnectionError):
    """Nobody answers at the address, or the connection broke."""

    remedy_otherwise = "is the mesh up, and this its address? See twinstream status"


class DeadlineError(ClientError, TransientError, TimeoutError):
    """The call's time was over."""


class ForeignAnswerError(ClientError, PermanentError):
    """The answer is not one of this service."""

    remedy_otherwise = (
        "is this the address of a service of this mesh, in a version that this client knows?"
    )


BY_STATUS: Mapping[int, type[ClientError]] = {
    401: ForbiddenError,
    403: ForbiddenError,
    404: NameNotFoundError,
    409: WindowGoneError,
    429: UnavailableError,
    502: UnavailableError,
    503: UnavailableError,
    504: StaleAnswerError,
}


def error_of(status: int, body: bytes) -> ClientError:
    """What an answer that is not a success means."""
    problem = _problem(body)
    text = problem.detail or problem.error or problem.title
    kind = BY_STATUS.get(status, ServerFaultError if status >= 500 else InvalidInputError)
    return kind(
        f"{text or 'refused without a word'} ({status})",
        status=status,
        row=problem.row,
        field=problem.field,
        remedy=problem.remedy,
    )


def _problem(body: bytes) -> RowProblem:
    """What is no JSON, as a page of a proxy is not, is its own text."""
    try:
        return msgspec.json.decode(body, type=RowProblem)
    except UNDECODABLE:
        return RowProblem(detail=body.decode(errors="replace").strip()[:LONGEST_TEXT])
