"""Starts one speed worker: `python -m preprocess_svc.speed`."""

from __future__ import annotations

from preprocess_svc.speed.service import SERVICE
from preprocess_svc.speed.wiring import run
from twinstream.mesh import process

if __name__ == "__main__":
    process.run(SERVICE, run)
