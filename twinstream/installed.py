"""Where the services lie: beside this package in a working copy, in its private folder when a
wheel was installed.

They keep their names (`ingest_svc`, `schemas`, ...), so only processes of our own may import
them: no program that imports `twinstream` finds them, and none of its modules is hidden. Only the
standard library is imported here.
"""

from __future__ import annotations

import sys
from pathlib import Path

SERVICES = Path(__file__).with_name("_services")


def python_path(services: Path = SERVICES) -> dict[str, str]:
    """What lets a process of ours import the services, as environment; empty in a working copy."""
    return {"PYTHONPATH": str(services)} if services.is_dir() else {}


def enter(services: Path = SERVICES) -> None:
    """Let this process import the services."""
    if services.is_dir() and str(services) not in sys.path:
        sys.path.insert(0, str(services))
