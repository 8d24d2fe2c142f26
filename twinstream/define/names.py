"""What may be a name: names become topics, tables, columns and paths."""

from __future__ import annotations

import re
from typing import Any

from twinstream.define.location import Location, refuse, shown

_THING = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_COLUMN = re.compile(r"[a-z][a-z0-9_]*")
LONGEST = 64


def check_thing(name: Any, what: str) -> str:
    """Name of a source, view, model or pipeline."""
    if not isinstance(name, str) or not _THING.fullmatch(name) or len(name) > LONGEST:
        refuse(
            f"{shown(name)} cannot name a {what}",
            f"use lower-case letters, digits and hyphens, as in 'by-origin', at most {LONGEST}",
        )
    return str.__str__(name)


def check_column(name: Any, what: str, at: Location | None = None) -> str:
    """Name of a field, a feature or a derived input."""
    if not isinstance(name, str) or not _COLUMN.fullmatch(name) or len(name) > LONGEST:
        refuse(
            f"{shown(name)} cannot name a {what}",
            (
                "use lower-case letters, digits and underscores, as in 'delay_minutes', "
                f"at most {LONGEST}"
            ),
            at,
        )
    return str.__str__(name)
