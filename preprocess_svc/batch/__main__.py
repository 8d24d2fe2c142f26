"""Starts the batch layer, Spark's driver: `python -m preprocess_svc.batch`."""

from __future__ import annotations

from preprocess_svc.batch.service import SERVICE
from preprocess_svc.batch.wiring import run
from twinstream.mesh import process

if __name__ == "__main__":
    process.run(SERVICE, run)
