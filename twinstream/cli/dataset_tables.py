"""What `dataset` shows: plain data for scripts, tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from twinstream.cli.show import note, out, shown, table
from twinstream.datasets.catalogue import SHORT, PublishedSet
from twinstream.datasets.differences import Example, SetDifference
from twinstream.protocol.training_split import PARTS

COLUMNS = ("model", "digest", "epoch", "rows", "from", "to", "definition", "trained")
FACTS = ("model", "digest", "epoch", "definition_digest", "rows")
MOMENTS = ("as_of_us", "first_at_us", "last_at_us")
LATEST = 3
"""So many of the models that were trained on a set are listed."""


def set_facts(one: PublishedSet) -> dict[str, Any]:
    """A set as plain data."""
    event = one.event
    return {
        "model": event.model,
        "digest": event.digest,
        "epoch": event.epoch,
        "rows": event.rows,
        "first_at_us": event.first_at_us,
        "last_at_us": event.last_at_us,
        "definition_digest": event.definition_digest,
        "files": [file.uri for file in event.files],
        "trained": list(one.models),
    }


def print_sets(found: Iterable[PublishedSet]) -> None:
    """A row each."""
    out.print(table(COLUMNS, map(_cells, found)))


def print_set(facts: Mapping[str, Any]) -> None:
    """One set, for people."""
    out.print(table(("", ""), [(name, shown(str(value))) for name, value in _said(facts)]))
    columns = facts.get("columns", ())
    cells = [(shown(one["name"]), one["type"], one["nulls"]) for one in columns]
    if cells:
        out.print(table(("column", "type", "nulls"), cells))


def print_difference(
    found: SetDifference,
    first: str,
    second: str,
) -> None:
    """For people."""
    rows = [(shown(what), shown(str(value))) for what, value in _differing(found, first, second)]
    out.print(table(("", ""), rows))
    for one in found.examples:
        note(shown(_example(one, first, second)))
    if found.is_none:
        note("both are the same rows")


def _differing(
    found: SetDifference,
    first: str,
    second: str,
) -> Iterator[tuple[str, object]]:
    yield f"rows only in {first}", found.rows_first
    yield f"rows only in {second}", found.rows_second
    yield "rows in both", found.rows_both
    for name in found.columns_first:
        yield f"column only in {first}", name
    for name in found.columns_second:
        yield f"column only in {second}", name
    for name, number in found.changed.items():
        yield f"other values of {name}", number


def _example(
    one: Example,
    first: str,
    second: str,
) -> str:
    values = f"{one.first!r} in {first}, {one.second!r} in {second}"
    return f"  {one.column} of {one.id} at {_moment(one.at_us)}: {values}"


def _said(facts: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """What a set is, in the order of interest."""
    for name in FACTS:
        yield name, facts[name]
    for name in MOMENTS:
        if name in facts:
            yield name.removesuffix("_us"), _moment(facts[name])
    if "parts" in facts:
        yield "parts", _parts(facts["parts"])
    yield "trained", ", ".join(facts["trained"]) or "no model yet"


def _parts(spans: Mapping[str, tuple[int, int]]) -> str:
    sizes = {part: stop - start for part, (start, stop) in spans.items()}
    return ", ".join(f"{part} {sizes[part]}" for part in PARTS)


def _cells(one: PublishedSet) -> tuple[object, ...]:
    event = one.event
    trained = ", ".join(digest[:SHORT] for digest in one.models[-LATEST:])
    return (
        event.model,
        shown(event.digest[:SHORT]),
        event.epoch,
        event.rows,
        _moment(event.first_at_us),
        _moment(event.last_at_us),
        shown(event.definition_digest[:SHORT]),
        shown(trained),
    )


def _moment(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")
