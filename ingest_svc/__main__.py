"""Starts ingest of live records and files: `python -m ingest_svc`."""

from __future__ import annotations

from ingest_svc.service import SERVICE
from ingest_svc.wiring import run
from twinstream.mesh import process

if __name__ == "__main__":
    process.run(SERVICE, run)
