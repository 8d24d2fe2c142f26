"""The calls that a mesh answers, as data: addresses, paths, bodies, and which may be made twice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from twinstream.client import encoding
from twinstream.client.answers import (
    Arrivals,
    EachPredictions,
    FeatureRows,
    Features,
    Offsets,
    Predictions,
    Receipt,
)
from twinstream.client.calls import Call
from twinstream.errors import SettingsError
from twinstream.mesh.loopback import is_loopback

TAKEN_RECORDS = (200, 207, 400)
"""All records were taken, some, or none: the receipt says which."""


class Addresses(msgspec.Struct, frozen=True, kw_only=True):
    """Base URLs of the services, as `twinstream status` names them; only those that are used need
    be given.
    """

    predict: str = ""
    ingest: str = ""
    monitor: str = ""

    def of(self, service: str, *path: str) -> str:
        """URL of a path; its parts are escaped. Raises SettingsError where the address is not
        known.
        """
        base: str = getattr(self, service)
        if not base:
            raise SettingsError(
                f"the address of {service} is not known: give {service}=,"
                " as twinstream status names it"
            )
        escaped = (quote(part, safe="", errors="replace") for part in path)
        return "/".join([base.rstrip("/"), "v1", *escaped])

    def without_proxy(self) -> dict[str, None]:
        """As httpx `mounts`: no proxy of the shell stands before this machine itself."""
        given = (self.predict, self.ingest, self.monitor)
        hosts = [httpx.URL(url).host for url in given if url and is_loopback(url)]
        return {f"all://[{host}]" if ":" in host else f"all://{host}": None for host in hosts}

    def predict_rows(
        self,
        model: str,
        rows: Any,
        at: Any,
        min_position: Offsets | None,
        max_staleness_ms: float | None,
    ) -> Call[Predictions]:
        """Made twice, it is answered twice: each answer is an event of its own."""
        body = encoding.question(rows, at, min_position, max_staleness_ms)
        url = self.of("predict", "predict", model)
        return Call(method="POST", url=url, answer=Predictions, body=body)

    def predict_each_row(
        self,
        model: str,
        rows: Any,
        at: Any,
        min_position: Offsets | None,
        max_staleness_ms: float | None,
    ) -> Call[EachPredictions]:
        """As `predict_rows`."""
        body = encoding.question(rows, at, min_position, max_staleness_ms, on_error="row")
        url = self.of("predict", "predict", model)
        return Call(method="POST", url=url, answer=EachPredictions, body=body, taken=(200, 207))

    def read_view(
        self,
        view: str,
        key: tuple[object, ...],
        at: Any,
        min_position: Offsets | None,
        max_staleness_ms: float | None,
    ) -> Call[Features]:
        """A read."""
        query = encoding.view_query(key, at, min_position, max_staleness_ms)
        return Call(
            method="GET", url=self.of("predict", "views", view), answer=Features, query=query
        )

    def read_rows(self, view: str, body: bytes) -> Call[FeatureRows]:
        """A read."""
        url = self.of("predict", "views", view)
        return Call(method="POST", url=url, answer=FeatureRows, body=body)

    def send(
        self,
        source: str,
        body: bytes,
        *,
        repeatable: bool,
    ) -> Call[Receipt]:
        """Records with their ids: a repeat of the same bytes meets its first in the same
        partition, and counts once.
        """
        url = self.of("ingest", "records", source)
        return Call(
            method="POST",
            url=url,
            answer=Receipt,
            body=body,
            repeatable=repeatable,
            taken=TAKEN_RECORDS,
        )

    def announce(
        self,
        source: str,
        files: Iterable[Any],
        file_format: str,
    ) -> Call[Arrivals]:
        """Repeatable: an object that was accepted in this version is not accepted again."""
        body = encoding.announcement(source, files, file_format)
        url = self.of("ingest", "data-arrived")
        return Call(method="POST", url=url, answer=Arrivals, body=body, taken=(202,))
