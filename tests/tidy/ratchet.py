"""What is not yet as the style wants it: `ratchet.json` may only get better.

`python -m tests.tidy.ratchet` writes today's values, and refuses to write a worse one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from tests.tidy import rules
from tests.tidy.measure import measure
from tests.tidy.names import PROTOCOLS
from tests.tidy.product import BESIDE, PRODUCT, texts

RECORD = Path(__file__).with_name("ratchet.json")
Counts = dict[str, float]


class Ratchet(msgspec.Struct, frozen=True, kw_only=True):
    """Counts that may fall, and lists of exceptions that may shrink."""

    counts: Counts
    lists: dict[str, list[str]]


def today() -> Ratchet:
    """The tree as it is."""
    product = texts()
    median, p90, per_line = measure(product.values())
    wide = {f"wide lines, {f}": len(rules.wide_lines(texts(f))) for f in (*PRODUCT, *BESIDE)}
    return Ratchet(
        counts={
            "tokens per function, median": median,
            "tokens per function, 90th percentile": p90,
            "tokens per line": per_line,
            **wide,
        },
        lists={
            "docstrings over three lines": rules.long_docstrings(product),
            "modules over 400 lines": rules.long_modules(product),
            "functions over six parameters": rules.many_parameters(product),
            "shared names": [n for n in rules.shared_names(product) if n not in PROTOCOLS],
        },
    )


def worsened(before: Ratchet, now: Ratchet) -> list[str]:
    """What `now` has more of than `before`."""
    counts = [
        f"{name}: {value:g}, at most {before.counts.get(name, 0):g}"
        for name, value in now.counts.items()
        if value > before.counts.get(name, 0)
    ]
    return counts + [
        f"{name}: {item}"
        for name, items in now.lists.items()
        for item in items
        if item not in before.lists.get(name, [])
    ]


def recorded() -> Ratchet:
    """What the tree was when it was last recorded."""
    return msgspec.json.decode(RECORD.read_bytes(), type=Ratchet)


def main() -> None:
    """Record today's values."""
    now = today()
    if problems := worsened(recorded(), now):
        sys.exit("\n".join(problems))
    RECORD.write_bytes(msgspec.json.format(msgspec.json.encode(now)) + b"\n")


if __name__ == "__main__":
    main()
