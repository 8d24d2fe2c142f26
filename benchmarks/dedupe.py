"""Remembering the ids of records within a source's horizon: the ingest table beside a dict of
bytes, which does the same.

`python -m benchmarks.dedupe [ids]`: packs of new ids, then all of them again;
memory is what the process grew by.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.record import record
from ingest_svc import id_table
from ingest_svc.dedupe import RecentIds

PACK, HORIZON_US = 10_000, 3_600_000_000


def packs(n: int) -> Iterator[pa.Array]:
    """Ids of 20 bytes, as a decoder gives them."""
    for start in range(0, n, PACK):
        yield pa.array([f"payment-{i:012d}" for i in range(start, start + PACK)])


def dict_adder() -> Callable[[pa.Array], int]:
    """Counts the new ids with a dict."""
    known: dict[bytes, int] = {}

    def add(ids: pa.Array) -> int:
        fresh = dict.fromkeys(ids.cast(pa.binary()).to_pylist(), 1)
        if known.keys().isdisjoint(fresh):
            known.update(fresh)
            return len(fresh)
        new = [i for i in fresh if i not in known]
        known.update(dict.fromkeys(new, 1))
        return len(new)

    return add


def table_adder() -> Callable[[pa.Array], int]:
    """Counts the new ids as ingest does."""
    id_table.warm_up()
    recent = RecentIds(HORIZON_US)
    return lambda ids: int(recent.add(ids, np.ones(len(ids), np.int64)).sum())


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def measured(add: Callable[[pa.Array], int], n: int) -> dict[str, float]:
    """Microseconds an id when new and when repeated, the longest pack in ms, bytes an id."""
    before, first, again = resident(), [], []
    for times, new in ((first, PACK), (again, 0)):
        for ids in packs(n):
            started = time.perf_counter()
            assert add(ids) == new
            times.append(time.perf_counter() - started)
    return {
        "new_us": round(float(np.median(first)) / PACK * 1e6, 3),
        "repeated_us": round(float(np.median(again)) / PACK * 1e6, 3),
        "longest_pack_ms": round(max(first) * 1000, 1),
        "bytes_an_id": round((resident() - before) / n, 1),
    }


def main(n: int = 4_000_000) -> None:
    """Measures both and records the result."""
    table = measured(table_adder(), n)
    gc.collect()
    plain = measured(dict_adder(), n)
    record(
        "dedupe",
        {
            "ids": n,
            "table": table,
            "dict": plain,
            "dict_over_table": {k: round(plain[k] / table[k], 2) for k in table},
        },
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
