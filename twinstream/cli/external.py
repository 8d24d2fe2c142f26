"""Status of a mesh with parts that run elsewhere: each of those is asked at its address."""

from __future__ import annotations

import socket
import urllib.error
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.local.plan import addresses
from twinstream.mesh.loopback import open_url
from twinstream.mesh.settings import MeshSettings

TIMEOUT_S = 3.0


def status(env: Mapping[str, str], without: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """As of an embedded mesh with these settings, of all parts but some;
    pids and lags are not known from here.
    """
    settings = MeshSettings.from_env(env)
    asked = _questions(settings)
    return {
        "services": {name: _shown(ask()) for name, ask in asked.items() if name not in without},
        "addresses": addresses(settings),
    }


def _questions(settings: MeshSettings) -> dict[str, Callable[[], bool]]:
    """Whether each part answers."""
    where = addresses(settings)
    pages = {"ingest-http": "ingest", "predict": "predict", "monitor": "monitor"}
    return {
        "kafka": lambda: kafka_answers(settings),
        "s3": lambda: not where["s3"] or port_answers(where["s3"]),
        "hive": lambda: port_answers(where["hive"]),
        **{part: partial(page_answers, where[at] + "/readyz") for part, at in pages.items()},
    }


def _shown(answers: bool) -> dict[str, object]:  # noqa: FBT001
    return {"state": "up" if answers else "down", "pid": None, "ready": answers, "lag": None}


def kafka_answers(settings: MeshSettings) -> bool:
    """Whether a broker gives its list of topics."""
    try:
        return bool(
            AdminClient(settings.kafka_client(log_level=0)).list_topics(timeout=TIMEOUT_S).brokers
        )
    except KafkaException:
        return False


def port_answers(uri: str) -> bool:
    """Whether something listens at the host and port of a URI."""
    parts = urlsplit(uri)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 443), timeout=TIMEOUT_S):
            return True
    except OSError:
        return False


def page_answers(url: str) -> bool:
    """Whether a page answers with a success."""
    try:
        with open_url(url, TIMEOUT_S) as answer:
            return 200 <= answer.status < 300
    except (urllib.error.URLError, OSError):
        return False
