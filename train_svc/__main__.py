"""Starts training: `python -m train_svc`."""

from __future__ import annotations

from train_svc.service import SERVICE
from train_svc.wiring import run
from twinstream.mesh import process

if __name__ == "__main__":
    process.run(SERVICE, run)
