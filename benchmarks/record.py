"""Writes one benchmark's result with the machine, the commit and the command that made it."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def record(name: str, figures: dict[str, Any], note: str = "") -> Path:
    """Writes `results/<name>.json` and returns its path; prints what it wrote.

    `note`: what a reader of the figures has to know.
    """
    result = {
        "benchmark": name,
        "figures": figures,
        "machine": machine(),
        "commit": commit(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": "python -m "
        + shlex.join([f"benchmarks.{Path(sys.argv[0]).stem}", *sys.argv[1:]]),
    }
    result |= {"note": note} if note else {}
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return path


def machine() -> dict[str, Any]:
    """What it ran on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    kilobytes = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(kilobytes / 2**20, 1),
        "system": platform.system() + " " + platform.machine(),
        "python": platform.python_version(),
    }


def commit() -> str:
    """The commit of this checkout, with -dirty when it has changes."""
    here = Path(__file__).parent
    git = ["git", "-C", str(here), "describe", "--always", "--dirty", "--exclude", "*"]
    return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
