"""Committed schemas of every event, and what a change to one may be:
new fields with defaults, nothing else.
"""

# `python -m schemas.evolution` writes the golden files again; a change that breaks readers needs a
# new major version and a new topic.

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from schemas.events import EVENT_TYPES

GOLDEN = Path(__file__).parent / "golden"


def schema_of(name: str) -> dict[str, Any]:
    """JSON Schema of an event by its type name."""
    return msgspec.json.schema(EVENT_TYPES[name])


def breaking_changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Why data written under `old` could not be read under `new`, or the other way round;
    empty when both can.
    """
    problems: list[str] = []
    for struct, before in old["$defs"].items():
        after = new["$defs"].get(struct)
        if after is None:
            problems.append(f"{struct} is gone")
            continue
        problems += _struct_changes(struct, before, after)
    return problems


def _struct_changes(struct: str, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    old, new = before["properties"], after["properties"]
    gone = [f"{struct}.{f} is gone" for f in old if f not in new]
    both = [f for f in old if f in new]
    changed = [f"{struct}.{f} changed its type" for f in both if _type(old[f]) != _type(new[f])]
    required = [
        f"{struct}.{f} is new and has no default"
        for f in after.get("required", [])
        if f not in before.get("required", [])
    ]
    return gone + changed + required


def _type(field: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value for key, value in field.items() if key not in {"default", "description", "title"}
    }


def write_golden() -> None:
    """Write the schema of every event to `schemas/golden/`."""
    GOLDEN.mkdir(exist_ok=True)
    for name in EVENT_TYPES:
        (GOLDEN / f"{name}.v1.json").write_text(
            json.dumps(schema_of(name), indent=2, sort_keys=True) + "\n"
        )


if __name__ == "__main__":
    write_golden()
