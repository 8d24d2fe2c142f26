"""Poison on a whole mesh: odd records, files, control events and HTTP requests, then the books.

`python -m tests.poison.run [--inputs N] [--seed S] [--report FILE]`;
exit status 1 when anything was lost, stopped or differs.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.record import commit, machine
from tests.e2e.shop import Shop
from tests.poison.books import Books, Verdict, table
from tests.poison.throw import Throwing

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
BEGIN, END = "<!-- begin: made by python -m tests.poison.run -->", "<!-- end of poison -->"


def play(shop: Shop, inputs: int, seed: int) -> Verdict:
    """Half of the inputs are live records, a twentieth files, the rest control events and requests;
    then the verdict.
    """
    begun = time.monotonic()
    throwing = Throwing(shop, seed)
    books = Books(shop, throwing)
    throwing.control(inputs // 5)
    throwing.live(inputs // 2)
    throwing.odd_files(max(30, inputs // 20))
    throwing.requests(inputs // 4)
    verdict = books.close()
    verdict.seconds = round(time.monotonic() - begun)
    return verdict


def write_page(verdict: Verdict, seed: int) -> None:
    """Put the figures into docs/faults.md."""
    found: dict[str, Any] = machine()
    when = (
        f"{datetime.now(UTC):%Y-%m-%d}, seed {seed}, commit `{commit()}`, "
        f"{verdict.seconds} s on {found['cpu']} ({found['cores']} cores)."
    )
    text = PAGE.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN, 1)
    PAGE.write_text(
        f"{head}{BEGIN}\n\nRun of {when}\n\n{table(verdict)}\n\n{END}{rest.split(END, 1)[1]}",
        encoding="utf-8",
    )


def main(arguments: list[str] | None = None) -> int:
    """0 when nothing is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", default="", help="also write the verdict as JSON to this file")
    parser.add_argument("--page", action="store_true", help="put the figures into docs/faults.md")
    asked = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="twinstream-poison-"))
    shop = Shop(folder / "mesh")
    try:
        verdict = play(shop.begin(), asked.inputs, asked.seed)
    finally:
        shop.mesh.stop()
    print(table(verdict))
    if asked.report:
        Path(asked.report).write_bytes(msgspec.json.format(msgspec.json.encode(verdict)))
    if asked.page:
        write_page(verdict, asked.seed)
    if verdict.wrong:
        print(f"what it ran on is kept in {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
