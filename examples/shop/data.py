"""Made-up visits and orders of a shop with something to learn: who bought lately buys again,
above all with many visits.

`python -m examples.shop.data FOLDER` writes a month as files (visits.parquet, orders.csv) and the
last hour as live records (*.jsonl).
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

HOUR_US = 3_600_000_000
COUNTRIES = ("CH", "DE", "FR", "IT")
Record = dict[str, Any]


def month(
    seed: int, until_us: int, visits: int = 20_000, shoppers: int = 800
) -> tuple[list[Record], list[Record]]:
    """(visits, orders) of the 30 days before `until_us`, ordered by time;
    moments are UTC microseconds.
    """
    dice = random.Random(seed)
    eager = {f"shopper-{n}": dice.betavariate(1.2, 4.0) for n in range(shoppers)}
    names, weights = list(eager), [1.0 / (n + 1) ** 0.6 for n in range(shoppers)]
    made_visits, made_orders = [], []
    moments = sorted(until_us - dice.randrange(720 * HOUR_US) for _ in range(visits))
    for number, at in enumerate(moments):
        shopper = dice.choices(names, weights)[0]
        visit = _visit(dice, number, shopper, at)
        made_visits.append(visit)
        if dice.random() < eager[shopper]:
            made_orders.append(_order(dice, number, visit, at + dice.randrange(HOUR_US // 2)))
    return made_visits, sorted(
        (o for o in made_orders if o["ordered_at"] < until_us),
        key=lambda order: order["ordered_at"],
    )


def _visit(dice: random.Random, number: int, shopper: str, at: int) -> Record:
    return {
        "visit_id": f"v{number:07d}",
        "shopper": shopper,
        "country": dice.choice(COUNTRIES),
        "page": f"/item/{dice.randrange(40)}",
        "visited_at": at,
        "seconds": dice.choice((None, dice.randrange(5, 900))),
        "mobile": dice.random() < 0.6,
    }


def _order(dice: random.Random, number: int, visit: Record, at: int) -> Record:
    return {
        "order_id": f"o{number:07d}",
        "visit_id": visit["visit_id"],
        "shopper": visit["shopper"],
        "country": visit["country"],
        "ordered_at": at,
        "amount": round(dice.lognormvariate(3, 0.8), 2),
        "items": dice.randrange(1, 6),
    }


def write(folder: Path, now_us: int, seed: int = 5) -> None:
    """Writes the files, and the last hour as JSON lines."""
    folder.mkdir(parents=True, exist_ok=True)
    visits, orders = month(seed, now_us)
    cut = now_us - HOUR_US
    old_visits, old_orders = (
        [v for v in visits if v["visited_at"] < cut],
        [o for o in orders if o["ordered_at"] < cut],
    )
    pa_parquet.write_table(pa.Table.from_pylist(old_visits), folder / "visits.parquet")
    pa_csv.write_csv(pa.Table.from_pylist(old_orders), folder / "orders.csv")
    for name, records, field in (
        ("visits", visits, "visited_at"),
        ("orders", orders, "ordered_at"),
    ):
        (folder / f"{name}.jsonl").write_bytes(
            msgspec.json.Encoder().encode_lines([r for r in records if r[field] >= cut])
        )


if __name__ == "__main__":
    write(Path(sys.argv[1]), time.time_ns() // 1000)
