"""Starts the monitor: `python -m monitor_svc`."""

from __future__ import annotations

from monitor_svc.service import SERVICE
from monitor_svc.wiring import run
from twinstream.mesh import process

if __name__ == "__main__":
    process.run(SERVICE, run)
