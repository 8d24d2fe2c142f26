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
    _print_pairs(_said(facts))
    cells = [_column_cells(one) for one in facts.get("columns", ())]
    if cells:
        out.print(table(("column", "type", "nulls"), cells))


def _column_cells(one: Mapping[str, Any]) -> tuple[object, ...]:
    return shown(one["name"]), one["type"], one["nulls"]


def _print_pairs(pairs: Iterable[tuple[str, object]]) -> None:
    out.print(table(("", ""), [(shown(what), shown(str(value))) for what, value in pairs]))


def print_difference(
    found: SetDifference,
    first: str,
    second: str,
) -> None:
    """For people."""
    _print_pairs(_differing(found, first, second))
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
    yield from ((f"column only in {first}", name) for name in found.columns_first)
    yield from ((f"column only in {second}", name) for name in found.columns_second)
    yield from ((f"other values of {name}", number) for name, number in found.changed.items())


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
