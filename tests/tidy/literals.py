"""Literals and names that have one home: how they look in code, and the modules that hold them."""

from __future__ import annotations

from typing import NamedTuple


class Home(NamedTuple):
    """What is at home there, its pattern, and the modules that may hold it."""

    what: str
    pattern: str
    modules: tuple[str, ...]


ORACLE = "twinstream/audit/everything.py"
"""The audit writes the order of rows a second time on purpose."""
ORDER = ("twinstream/protocol/row_order.py", ORACLE)
HOMES = (
    Home("the place of a row in the total order", r"(<< |SHIFT.* = )44\b", ORDER),
    Home("the place of files before the log", r"FROM\b.* = -\(1 << 62\)|-\(1 << 62\) \+", ORDER),
    Home(
        "a topic's name",
        r"[\"'](client|ingest|preprocess|train|predict|monitor|mesh)\.[a-z-]+(\.[^\"']*)?\.v\d+[\"']",
        ("schemas/topics.py",),
    ),
    Home(
        "a bucket's name",
        r"[\"']twinstream-(warehouse|raw|models)\b",
        ("twinstream/mesh/settings.py",),
    ),
    Home(
        "a table or folder of the warehouse",
        r"\.history_\w+[\"'\{]|/(history|bases|verdicts|training)/\{",
        ("schemas/topics.py",),
    ),
    Home(
        "a document of a training set",
        r"statistics\.json",
        ("twinstream/protocol/training_statistics.py",),
    ),
    Home("the shares of a split", r"0\.70?, 0\.[18]5\b", ("twinstream/define/time_split.py",)),
)
