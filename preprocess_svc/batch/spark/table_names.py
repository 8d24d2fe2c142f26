"""Names of tables in SQL."""

from __future__ import annotations


def quoted(table: str) -> str:
    """`database.table`, whatever is in either name."""
    return ".".join(f"`{part}`" for part in table.split("."))
