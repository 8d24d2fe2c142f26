"""All benchmarks, one after the other: `python -m benchmarks`, or `make bench`."""

from __future__ import annotations

import subprocess
import sys

for name in (
    "chain",
    "freshness",
    "read",
    "base",
    "fold",
    "compare",
    "recovery",
    "growth",
    "dedupe",
    "predict",
    "score",
    "dataset",
):
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
subprocess.run([sys.executable, "-m", "benchmarks.render"], check=True)
