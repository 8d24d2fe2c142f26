"""Starts one view worker: `python -m predict_svc.view`."""

from __future__ import annotations

from predict_svc.view.service import SERVICE
from predict_svc.view.wiring import run
from twinstream.mesh import process

if __name__ == "__main__":
    process.run(SERVICE, run)
