"""Whether an event that decodes can be true: what anyone may write to a topic is hostile until it
is checked here. Pure.
"""

# What depends on more than the event itself (which epoch is next, which buckets are ours) its
# reader checks beside this.

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from schemas import events as ev
from schemas.topics import topic_of

FIRST_US = -2_208_988_800_000_000  # 1900-01-01
LAST_US = 7_289_654_400_000_000 - 1  # the last of 2200
MOST_BYTES = 1 << 50
MOST_ROWS = 1 << 50
MOST_EPOCHS = 1 << 31
MOST_PARTITIONS = 100_000
MOST_DEPTH = 32
_NAME = re.compile(r"[a-z][a-z0-9-]{0,127}")
_NAMES = ("source", "view", "model")
_OF_EVENTS = {*_NAMES, "epoch"}
"""Fields that mean something else inside a part of an event: a release names its model by the
digest, a position may be before every epoch.
"""
_RANGES = {
    "epoch": (1, MOST_EPOCHS),
    "size_bytes": (0, MOST_BYTES),
    "rows": (-1, MOST_ROWS),
    "partition": (-1, MOST_PARTITIONS),
    "origin_partition": (0, MOST_PARTITIONS),
    "offset": (-1, 1 << 62),
    "raw_high": (-1, 1 << 62),
    "file_count": (0, 1 << 40),
    "wishes": (0, 1 << 62),
    "batch_shape": (0, 1 << 20),
}


AHEAD_US = 86_400_000_000
"""So far may another host's clock be ahead of ours."""


def refusal(event: ev.Event, topic: str, now_us: int = LAST_US) -> str:
    """Why this event cannot be what a reader of `topic` should act on; "" when it can.

    `now_us`: the reader's own time.
    """
    if topic != topic_of(event):
        return f"a {type(event).__name__} belongs to {topic_of(event)}"
    if ahead := _ahead(event, now_us + AHEAD_US):
        return f"{ahead}: it says that it happens in the future"
    try:
        odd = next(_problems("", event, MOST_DEPTH), "")
    except RecursionError:
        return "it is nested too deep"
    return odd or (unfit(event) if isinstance(event, ev.PredictionServed) else "")


def unfit(event: ev.PredictionServed) -> str:
    """Why the parts of an answered request do not fit one another; "" when each row has its
    features, its position in each view, and one request that it belongs to.
    """
    return next(_misfits(event), "")


def _misfits(event: ev.PredictionServed) -> Iterator[str]:
    if not _follow(event.starts, len(event.rows)):
        yield "starts: its requests do not begin one after another"
    inputs = len(event.inputs)
    for i, row in enumerate(event.rows):
        if len(row.features) != inputs:
            yield f"rows: row {i} has {len(row.features)} features for {inputs} inputs"
    for view, places in event.places.items():
        yield from _unplaced(view, places, event)
    if event.shadow is not None and len(event.shadow.outputs) != len(event.rows):
        yield f"shadow: {len(event.shadow.outputs)} outputs for {len(event.rows)} rows"


def _follow(starts: list[int], rows: int) -> bool:
    """Whether requests that begin at these rows follow one another from the first row on."""
    if not starts:
        return True
    bounds = [*starts, rows]
    return bounds[0] == 0 and bounds == sorted(bounds)


def _unplaced(view: str, places: list[int], event: ev.PredictionServed) -> Iterator[str]:
    known = range(len(event.positions.get(view, ())))
    for i in range(len(event.rows)):
        placed = i < len(places)
        if not placed or places[i] not in known:
            yield f"places: row {i} has no position in view {view[:80]!r}"


def foreign(event: ev.Event, bucket: str, model_bucket: str) -> str:
    """Why an event names an object that the mesh does not write;
    "" when all are in its own buckets.

    Files that users announce are not meant: a source says where those may be.
    """
    of_batch = isinstance(event, ev.ViewPublished | ev.TrainingSetPublished)
    ours = bucket if of_batch else model_bucket
    places = (f"s3://{ours}/", f"s3a://{ours}/")
    wrong = next((uri for uri in _named(event) if not uri.startswith(places)), None)
    return "" if wrong is None else f"{wrong[:200]!r} is not in the mesh's bucket {ours}"


def _named(event: ev.Event) -> list[str]:
    """The URIs of objects that only the mesh writes."""
    match event:
        case ev.ViewPublished():
            return [file.uri for file in event.files]
        case ev.TrainingSetPublished():
            return [*(file.uri for file in event.files), event.statistics_uri]
        case ev.ModelTrained() | ev.ModelPromoted():
            return [event.uri]
        case ev.ShadowChosen() | ev.CanaryChosen():
            return [event.uri] if event.model_digest else []
        case _:
            return []


def _ahead(event: ev.Event, latest_us: int) -> str:
    """The first time of an event that lies beyond `latest_us`; a question may be asked about a time
    to come.
    """
    names = (name for name in event.__struct_fields__ if name.endswith("_us") and name != "at_us")
    return next((name for name in names if getattr(event, name) > latest_us), "")


def not_finite(event: ev.Event) -> str:
    """The first number of an event that is not finite, as `field: value`; "" when all are."""
    return next(
        (
            f"{name}: {value}"
            for name, value in _floats("", event, MOST_DEPTH)
            if not math.isfinite(value)
        ),
        "",
    )


def _problems(name: str, value: Any, depth: int) -> Iterator[str]:
    """What is wrong with one value and all that it holds; `name` is the field's."""
    if depth == 0:
        yield f"{name}: it is nested too deep"
    elif isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            own = isinstance(value, ev.Event) or field not in _OF_EVENTS
            yield from _problems(
                field if own else f"{name}.{field}", getattr(value, field), depth - 1
            )
    elif isinstance(value, dict):
        for key, item in value.items():
            inner = key if isinstance(key, str) and name == "" else name
            yield from _problems(inner, item, depth - 1)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _problems(name, item, depth - 1)
    else:
        yield from _scalar(name, value)


def _scalar(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{name}: {value} is not a finite number"
    elif isinstance(value, int) and name.endswith("_us") and not FIRST_US <= value <= LAST_US:
        yield f"{name}: {value} is not a time of the years 1900 to 2200 in microseconds"
    elif isinstance(value, int) and name in _RANGES:
        least, most = _RANGES[name]
        if not least <= value <= most:
            yield f"{name}: {value} is not from {least} to {most}"
    elif isinstance(value, str) and name in _NAMES and not _NAME.fullmatch(value):
        yield f"{name}: {value[:80]!r} is not a name"


def _floats(name: str, value: Any, depth: int) -> Iterator[tuple[str, float]]:
    if isinstance(value, float):
        yield name, value
    elif depth == 0:
        return
    elif isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            yield from _floats(field, getattr(value, field), depth - 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _floats(f"{name}.{key}", item, depth - 1)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _floats(name, item, depth - 1)
