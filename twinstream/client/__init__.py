"""A mesh over HTTP for programs: `Client`, `AsyncClient`, what they answer and raise. Needs no
engine and no Arrow.
"""

from __future__ import annotations

from twinstream.client.answers import (
    Arrivals,
    EachPredictions,
    FeatureRow,
    FeatureRows,
    Features,
    Metric,
    Predictions,
    Receipt,
    RecordAnswer,
    Rejection,
    RowProblem,
    RowsWarning,
)
from twinstream.client.async_client import AsyncClient
from twinstream.client.calls import Retries
from twinstream.client.client import Client
from twinstream.client.encoding import FileAnnounced
from twinstream.client.errors import (
    ClientError,
    DeadlineError,
    ForbiddenError,
    ForeignAnswerError,
    InvalidInputError,
    NameNotFoundError,
    ServerFaultError,
    StaleAnswerError,
    UnavailableError,
    UnreachableError,
    WindowGoneError,
)

__all__ = [
    "Arrivals",
    "AsyncClient",
    "Client",
    "ClientError",
    "DeadlineError",
    "EachPredictions",
    "FeatureRow",
    "FeatureRows",
    "Features",
    "FileAnnounced",
    "ForbiddenError",
    "ForeignAnswerError",
    "InvalidInputError",
    "Metric",
    "NameNotFoundError",
    "Predictions",
    "Receipt",
    "RecordAnswer",
    "Rejection",
    "Retries",
    "RowProblem",
    "RowsWarning",
    "ServerFaultError",
    "StaleAnswerError",
    "UnavailableError",
    "UnreachableError",
    "WindowGoneError",
]
