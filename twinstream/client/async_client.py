"""A mesh for a program with coroutines: `Client` with `await`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Self, TypeVar

import httpx

from twinstream.client.answers import (
    Arrivals,
    EachPredictions,
    FeatureRows,
    Features,
    Metric,
    Offsets,
    Predictions,
    Receipt,
    RecordAnswer,
)
from twinstream.client.calls import Attempts, Call, Retries
from twinstream.client.client import QUIET_S, TIMEOUT_S
from twinstream.client.encoding import parts_of, view_keys_body
from twinstream.client.errors import ClientError, InvalidInputError, error_of
from twinstream.client.mesh_calls import Addresses
from twinstream.client.stream import News

T = TypeVar("T")


class AsyncClient:
    """Asks and feeds a mesh over HTTP from one event loop; `aclose` it, or use it in an `async
    with`.
    """

    def __init__(
        self,
        *,
        predict: str = "",
        ingest: str = "",
        monitor: str = "",
        timeout_s: float = TIMEOUT_S,
        retries: Retries | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Addresses as `twinstream status` names them. `timeout_s`: of a call with all its
        attempts; `headers`: of each request.
        """
        self._to = Addresses(predict=predict, ingest=ingest, monitor=monitor)
        self._timeout_s, self._retries = timeout_s, retries or Retries()
        self._http = httpx.AsyncClient(headers=dict(headers or {}), mounts=self._to.without_proxy())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def predict(
        self,
        model: str,
        rows: Any,
        *,
        at: Any = None,
        min_position: Offsets | None = None,
        max_staleness_ms: float | None = None,
        timeout_s: float | None = None,
    ) -> Predictions:
        """A prediction for each row, in order; raises ClientError.

        `rows`: a mapping, dataclass or msgspec struct, a list of them, a pandas or polars
        DataFrame, or an Arrow table.
        `at`: the moment of rows without one (default: now). `min_position`: a receipt's
        `position`, to read your own writes.
        """
        call = self._to.predict_rows(model, rows, at, min_position, max_staleness_ms)
        return await self._made(call, timeout_s)

    async def predict_each(
        self,
        model: str,
        rows: Any,
        *,
        at: Any = None,
        min_position: Offsets | None = None,
        max_staleness_ms: float | None = None,
        timeout_s: float | None = None,
    ) -> EachPredictions:
        """As `predict`, but a row that does not fit has its problem in the place of its prediction
        and costs the others nothing; raises ClientError for what concerns all rows.
        """
        call = self._to.predict_each_row(model, rows, at, min_position, max_staleness_ms)
        return await self._made(call, timeout_s)

    async def view(
        self,
        view: str,
        *key: object,
        at: Any = None,
        min_position: Offsets | None = None,
        max_staleness_ms: float | None = None,
        timeout_s: float | None = None,
    ) -> Features:
        """The features of one key, given field by field; raises ClientError."""
        call = self._to.read_view(view, key, at, min_position, max_staleness_ms)
        return await self._made(call, timeout_s)

    async def views(
        self,
        view: str,
        keys: Iterable[Any],
        *,
        features: Iterable[str] | None = None,
        at: Any = None,
        min_position: Offsets | None = None,
        max_staleness_ms: float | None = None,
    ) -> FeatureRows:
        """The features of many keys, or of those named, in one request; a key of several fields is
        a tuple. Raises ClientError.
        """
        body = view_keys_body(keys, features, at, min_position, max_staleness_ms)
        return await self._made(self._to.read_rows(view, body), None)

    async def publish_and_predict(
        self,
        source: str,
        record: Any,
        model: str,
        rows: Any = None,
        *,
        timeout_s: float | None = None,
    ) -> RecordAnswer:
        """Publish a record and ask a model; raises ClientError, whose note says what was done.

        Without `rows` the record is the question: it is asked first, so that it is in none of its
        own features, as in training. With `rows` it is published first, and the answer has seen it.
        """
        if rows is None:
            return await self._ask_first(source, record, model, timeout_s)
        receipt = await self.publish_record(source, record, timeout_s=timeout_s)
        try:
            seen = receipt.position
            answer = await self.predict(model, rows, min_position=seen, timeout_s=timeout_s)
        except ClientError as error:
            error.add_note(f"the record was published before: {receipt}")
            raise
        return RecordAnswer(receipt, answer)

    async def _ask_first(
        self,
        source: str,
        record: Any,
        model: str,
        timeout_s: float | None,
    ) -> RecordAnswer:
        answer = await self.predict(model, [record], timeout_s=timeout_s)
        try:
            receipt = await self.publish_record(source, record, timeout_s=timeout_s)
        except ClientError as error:
            error.add_note(f"the record was not published; its prediction is {answer.id}-0")
            raise
        return RecordAnswer(receipt, answer)

    async def publish_record(
        self,
        source: str,
        record: Any,
        *,
        timeout_s: float | None = None,
    ) -> Receipt:
        """Send one record and wait until Kafka has it; raises InvalidInputError when it does not
        fit.
        """
        receipt = await self.publish_records(source, [record], timeout_s=timeout_s)
        if receipt.rejected:
            raise InvalidInputError(receipt.rejected[0].reason, status=400, row=0)
        return receipt

    async def publish_records(
        self,
        source: str,
        records: Any,
        *,
        repeatable: bool = True,
        timeout_s: float | None = None,
    ) -> Receipt:
        """Send records, in parts, and wait until Kafka has each; those that do not fit are in the
        receipt's `rejected`.

        `timeout_s` is a part's. `repeatable=False` for a source without a dedupe horizon: then a
        part whose answer is lost is not sent again. An error's note says how many records were
        taken before it.
        """
        receipt = Receipt(accepted=0)
        for begin, _, body in parts_of(records):
            call = self._to.send(source, body, repeatable=repeatable)
            try:
                receipt = receipt.and_then(await self._made(call, timeout_s), begin)
            except ClientError as error:
                error.add_note(f"{begin} records before it were answered: {receipt}")
                raise
        return receipt

    async def publish_files(
        self,
        source: str,
        files: Iterable[Any],
        *,
        file_format: str = "",
        timeout_s: float | None = None,
    ) -> Arrivals:
        """Announce objects on S3 (`s3://` URIs or `FileAnnounced`); they are checked after the
        answer.
        """
        return await self._made(self._to.announce(source, files, file_format), timeout_s)

    async def metrics(self, name: str = "", service: str = "") -> AsyncIterator[Metric]:
        """Every metric of the mesh as it comes, those of now first; `name` and `service` are
        beginnings. Without an end.

        A broken stream is taken up again; raises ClientError when that fails for as long as a
        call may take.
        """
        news, url = News(name, service), self._to.of("monitor", "stream")
        call = Call(method="GET", url=url, answer=dict)
        while True:
            attempts = Attempts(call, self._retries, self._timeout_s)
            async for metric in self._listened(call, attempts, news):
                yield metric
            await asyncio.sleep(self._retries.first_s)

    async def _listened(
        self,
        call: Call[Any],
        attempts: Attempts,
        news: News,
    ) -> AsyncIterator[Metric]:
        """Until the stream ends or breaks, as it does when the monitor is started again."""
        pause, heard = 0.0, False
        while not heard:
            await asyncio.sleep(pause)
            try:
                async with self._http.stream(**call.request(), timeout=QUIET_S) as answer:
                    if answer.status_code != httpx.codes.OK:
                        again = attempts.pause_after(answer.status_code, answer.headers)
                        if again is None:
                            raise error_of(answer.status_code, await answer.aread())
                        pause = again
                        continue
                    heard = True
                    async for line in answer.aiter_lines():
                        for metric in news.of(line):
                            yield metric
            except httpx.RequestError as error:
                if not heard:
                    pause = attempts.pause_after_break(error)

    async def _made(self, call: Call[T], timeout_s: float | None) -> T:
        """Make a call, with its attempts; raises ClientError."""
        attempts = Attempts(
            call, self._retries, self._timeout_s if timeout_s is None else timeout_s
        )
        while True:
            try:
                left = attempts.left()
                async with asyncio.timeout(left):
                    answer = await self._http.request(**call.request(), timeout=left)
                pause = attempts.pause_after(answer.status_code, answer.headers)
                if pause is None:
                    return call.read(answer.status_code, answer.content)
            except TimeoutError:
                raise attempts.late() from None
            except httpx.RequestError as error:
                pause = attempts.pause_after_break(error)
            await asyncio.sleep(pause)
