"""Who this worker is to Kafka, the same after every restart, so that its partitions come back at
once.
"""

from __future__ import annotations

import re
import uuid
from pathlib import Path

from twinstream.mesh.files import write_whole


def instance_of(data: str, worker: str) -> str:
    """Static member name of a worker: made once, kept in the data folder."""
    path = (
        Path(data)
        / "ingest"
        / f"instance{'-' if worker else ''}{re.sub(r'[^A-Za-z0-9_-]', '_', worker)}"
    )
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, f"ingest-{uuid.uuid4().hex[:12]}".encode())
    return path.read_text(encoding="ascii").strip()
