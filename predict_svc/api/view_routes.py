"""Views over HTTP: one key, many keys, several views at one moment; as JSON or as Arrow streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from flask import Flask, Response, request

from predict_svc.api.base import Api, answer, epoch_of, reader_of, wish
from predict_svc.api.messages import (
    Part,
    RequestError,
    UnprocessableError,
    ViewAnswer,
    ViewKeys,
    ViewRow,
    ViewRows,
    Wish,
    moment,
    view_body,
    views_body,
)
from predict_svc.api.view_lookup import read_keys
from predict_svc.api.view_values import Typed, answers_of, nulls
from schemas.events import ViewPosition
from twinstream.define import View
from twinstream.define.fields.timestamp import moment_of
from twinstream.errors import RecordError
from twinstream.features.request import key_batch, view_key
from twinstream.mesh.problems import Place

ARROW = "application/vnd.apache.arrow.stream"
JSON = "application/json"
MOST_VIEWS = 64


class KeyQuery(NamedTuple):
    """One key of a view as a query names it."""

    parts: list[str]
    features: list[str] | None
    at: str | None


class Keys(NamedTuple):
    """Key bytes of a view, and a moment."""

    view: str
    keys: list[bytes]
    at_us: int


class Lookup(msgspec.Struct, frozen=True):
    """Keys of one view, read at one moment."""

    view: View
    asked: Sequence[Part | list[Part]]
    at_us: int
    typed: list[Typed]
    features: list[dict[str, Any]]
    position: ViewPosition | None
    age_ms: float | None
    release: str


def register(app: Flask, api: Api) -> None:
    """The routes of views."""
    app.get("/v1/views/<view>", endpoint="view")(lambda view: one_key(api, view))
    app.post("/v1/views/<view>", endpoint="view-keys")(lambda view: many_keys(api, view))
    app.post("/v1/views", endpoint="views")(lambda: many_views(api))


def one_key(api: Api, view: str) -> Response:
    """The features of one key, its parts from the query."""
    asked = KeyQuery(
        request.args.getlist("key"),
        request.args.getlist("feature") or None,
        request.args.get("at"),
    )
    if _wants_arrow():
        return _arrow([_one(api, view, asked, wish())])
    return answer(single(api, view, asked, wish()))


def single(api: Api, view: str, asked: KeyQuery, fresh: Wish) -> ViewAnswer:
    """The features of one key."""
    return _single(_one(api, view, asked, fresh))


def _one(api: Api, view: str, asked: KeyQuery, fresh: Wish) -> Lookup:
    declared = reader_of(api, view).plan.view
    parts = asked.parts
    key = _key(declared, parts)
    at_us = moment(asked.at, api.clock.now_us())
    given: Part | list[Part] = parts[0] if len(parts) == 1 else list(parts)
    wanted = ViewKeys(keys=[given], features=asked.features)
    return _of_keys(api, wanted, Keys(view, [key], at_us), fresh)


def many_keys(api: Api, view: str) -> Response:
    """A row for each key."""
    body = view_body(request.get_data(cache=False))
    at_us = moment(body.at, api.clock.now_us())
    _check_size(api, {view: ViewKeys(keys=body.keys)})
    wanted = ViewKeys(keys=body.keys, features=body.features)
    found = looked_up(api, view, wanted, at_us, body)
    return _arrow([found]) if _wants_arrow() else answer(_rows(found))


def many_views(api: Api) -> Response:
    """Several views at one moment; as Arrow one stream after the other, in the views' order."""
    body = views_body(request.get_data(cache=False))
    at_us = moment(body.at, api.clock.now_us())
    _check_size(api, body.views)
    found = [looked_up(api, view, keys, at_us, body) for view, keys in body.views.items()]
    if _wants_arrow():
        return _arrow(found)
    return answer({"views": {lookup.view.name: _rows(lookup) for lookup in found}})


def looked_up(api: Api, view: str, wanted: ViewKeys, at_us: int, fresh: Wish) -> Lookup:
    """Reads the keys when the view is as fresh as is wished."""
    keys = _keys(reader_of(api, view).plan.view, wanted.keys)
    return _of_keys(api, wanted, Keys(view, keys, at_us), fresh)


def _of_keys(api: Api, wanted: ViewKeys, asked: Keys, fresh: Wish) -> Lookup:
    view, keys, at_us = asked
    reader = reader_of(api, view)
    declared, chosen = reader.plan.view, _chosen(reader.plan.view, wanted.features)
    epoch = epoch_of(api, view)
    api.predictor.freshness.wait(fresh, [view], epoch)
    at = np.full(len(keys), at_us, np.int64)
    answers, positions = read_keys(reader, keys, at, epoch)
    seen = positions.seen_by(slice(None)) if len(keys) else None
    return Lookup(
        declared,
        wanted.keys,
        at_us,
        chosen,
        [{one.name: one.value(row) for one in chosen} for row in answers.tolist()],
        seen,
        api.predictor.freshness.age_ms({view: seen}) if seen else None,
        f"{api.pipeline.digest[:8]}-e{seen.epoch if seen else epoch}",
    )


def _check_size(api: Api, views: Mapping[str, ViewKeys]) -> None:
    """No question holds a thread for long."""
    keys, most = sum(len(wanted.keys) for wanted in views.values()), api.predictor.max_rows
    if keys > most:
        raise UnprocessableError(
            f"{keys} keys were asked for", Place(field="keys", remedy=f"give at most {most} in all")
        )
    if len(views) > MOST_VIEWS:
        raise UnprocessableError(
            f"{len(views)} views were asked for",
            Place(field="views", remedy=f"give at most {MOST_VIEWS}"),
        )


def _chosen(view: View, names: Sequence[str] | None) -> list[Typed]:
    known = answers_of(view)
    if names is None:
        return list(known.values())
    if unknown := sorted(set(names) - set(known)):
        raise RequestError(
            f"view {view.name} has no feature {', '.join(unknown)}; it has {', '.join(known)}",
            Place(field="features"),
        )
    return [known[name] for name in dict.fromkeys(names)]


def _keys(view: View, asked: Sequence[Part | list[Part]]) -> list[bytes]:
    """Key bytes; a key that does not fit is named by its number."""
    return [_key(view, _texts(key), i) for i, key in enumerate(asked)]


def _key(view: View, parts: Sequence[str], row: int | None = None) -> bytes:
    try:
        return view_key(view, parts)
    except RecordError as error:
        where = "" if row is None else f"key {row}: "
        raise RequestError(f"{where}{error}", Place(row=row, field="key")) from error


def _texts(key: Part | list[Part]) -> list[str]:
    return [_text(part) for part in (key if isinstance(key, list) else [key])]


def _text(part: Part) -> str:
    return str(part).lower() if isinstance(part, bool) else str(part)


def _single(found: Lookup) -> ViewAnswer:
    assert found.position is not None
    return ViewAnswer(
        view=found.view.name,
        key=found.asked[0],  # type: ignore[arg-type]
        at=found.at_us,
        features=found.features[0],
        nulls=nulls(found.typed, found.features[0]),
        position=found.position,
        age_ms=found.age_ms,
        release=found.release,
    )


def _rows(found: Lookup) -> ViewRows:
    rows = [
        ViewRow(key=key, features=features, nulls=nulls(found.typed, features))
        for key, features in zip(found.asked, found.features, strict=True)
    ]
    return ViewRows(
        view=found.view.name,
        at=moment_of(found.at_us),
        rows=rows,
        position=found.position,
        age_ms=found.age_ms,
        release=found.release,
    )


def _wants_arrow() -> bool:
    return request.accept_mimetypes.best_match([JSON, ARROW], default=JSON) == ARROW


def _arrow(found: Sequence[Lookup]) -> Response:
    sink = pa.BufferOutputStream()
    for lookup in found:
        batch = _batch(lookup)
        with pa.ipc.new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
    return Response(sink.getvalue().to_pybytes(), mimetype=ARROW)


def _batch(found: Lookup) -> pa.RecordBatch:
    """Key fields, then features; the schema's metadata holds what JSON says beside the rows."""
    keys = key_batch(found.view, [_texts(key) for key in found.asked])
    fields, columns = [], []
    for name in found.view.by:
        arrow, form = found.view.source.fields[name].as_key()
        fields.append(pa.field(name, arrow))
        columns.append(pa.array([form(value) for value in keys[name].to_pylist()], arrow))
    for one in found.typed:
        fields.append(pa.field(one.name, one.column))
        columns.append(pa.array([row[one.name] for row in found.features], one.column))
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields, _metadata(found)))


def _metadata(found: Lookup) -> dict[str, str]:
    known = {
        "view": found.view.name,
        "release": found.release,
        "at": moment_of(found.at_us),
        "position": found.position,
        "age_ms": found.age_ms,
    }
    return {
        f"twinstream.{name}": value
        if isinstance(value, str)
        else msgspec.json.encode(value).decode()
        for name, value in known.items()
    }
