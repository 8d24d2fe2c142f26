"""The modules that users run, as the rules of style see them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tests.tidy.measure import modules

ROOT = Path(__file__).parents[2]
PRODUCT = (
    "schemas",
    "twinstream",
    "deploy",
    "ingest_svc",
    "preprocess_svc",
    "train_svc",
    "predict_svc",
    "monitor_svc",
)
BESIDE = ("examples", "benchmarks", "tests")


@cache
def texts(*folders: str) -> dict[str, str]:
    """Text by path of these folders, of the product where none is named."""
    return {
        path.relative_to(ROOT).as_posix(): path.read_text()
        for path in modules(ROOT, folders or PRODUCT)
    }
