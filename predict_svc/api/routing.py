"""Which release answers a question: what serves, or for some keys the canary."""

# A request is answered by one release, whole: the key of its first row decides.

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from predict_svc.api.base import Api, active_in
from predict_svc.api.serving import Active, Snapshot
from twinstream.features.request import RowError
from twinstream.protocol.canary import falls_to

Rows = Sequence[Any]
_encode = msgspec.json.Encoder(order="deterministic").encode


def answering_release(
    api: Api,
    model: str,
    rows: Rows,
) -> Active:
    """What answers these rows now; raises as `active_of`."""
    return chosen_in(api, api.serving.now, model, rows)


def chosen_in(
    api: Api,
    now: Snapshot,
    model: str,
    rows: Rows,
) -> Active:
    """What answers these rows in a snapshot; raises as `active_in`."""
    active, canary = active_in(api, now, model), now.canaries.get(model)
    if canary is None or canary.share <= 0 or not rows:
        return active
    key = key_of_row(active, rows[0], api.clock.now_us())
    falls = key is not None and falls_to(canary.active.release.model, canary.share, key)
    return canary.active if falls else active


def key_of_row(
    active: Active,
    row: Any,
    now_us: int,
) -> bytes | None:
    """The key of the model's first view, as that spells it; of a model without views the fields
    that its label is joined on. None for a row without one, or that cannot be answered.
    """
    keys = _view_keys(active, row, now_us) if isinstance(row, dict) else None
    if keys is None:
        return None
    if not keys:
        return _encode([row.get(name) for name in active.form.model.label.on])
    return next(iter(keys.values()))[0]


def _view_keys(
    active: Active, row: dict[str, Any], now_us: int
) -> dict[str, list[bytes | None]] | None:
    quick = active.quick.decode([row], now_us)
    if quick is not None:
        return quick.keys
    try:
        return active.form.decode([row], now_us).keys
    except RowError:
        return None


def by_release(
    api: Api,
    model: str,
    requests: Sequence[Rows],
) -> list[tuple[Active, list[int]]]:
    """The requests, by their numbers, that each release answers, all as of one moment."""
    now = api.serving.now
    if model not in now.canaries:
        return [(active_in(api, now, model), list(range(len(requests))))]
    return _grouped([chosen_in(api, now, model, rows) for rows in requests])


def _grouped(chosen: Sequence[Active]) -> list[tuple[Active, list[int]]]:
    found: dict[str, tuple[Active, list[int]]] = {}
    for number, active in enumerate(chosen):
        model = active.release.model
        _, numbers = found.setdefault(model, (active, []))
        numbers.append(number)
    return list(found.values())
