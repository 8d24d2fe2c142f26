"""Every knob of ingest, each with its default and what it does;
read from `TWINSTREAM_INGEST_<KNOB>`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from twinstream.mesh.knobs import Knobs


class IngestSettings(Knobs, frozen=True, kw_only=True):
    """Knobs of the ingest processes."""

    PREFIX: ClassVar[str] = "TWINSTREAM_INGEST_"
    ELSE: ClassVar[Mapping[str, str]] = {"worker": "TWINSTREAM_INSTANCE"}

    worker: str = ""
    """Name of this worker among those with the same data folder (default: TWINSTREAM_INSTANCE);
    a restart takes its partitions back by it.
    """
    pack_rows: int = 10_000
    """A pack is closed when it covers this many raw records."""
    pack_ms: int = 10
    """A pack is closed after this many milliseconds, full or not."""
    gather_ms: float = 4.0
    """The first record after a pause waits this many milliseconds for others to be packed with it;
    at most `pack_ms`.
    """
    pack_bytes: int = 4_000_000
    """A log message is cut before its rows are larger than this many bytes."""
    record_bytes: int = 1_000_000
    """A raw record larger than this many bytes is dead-lettered (HTTP: rejected)."""
    outstanding: int = 64
    """Log messages of one partition that may wait for Kafka's confirmation;
    also how much a writer that overlaps can add.
    """
    tail_messages: int = 256
    """On start at least this many of the last log messages are read:
    more than a few overlapping writers can have `outstanding`.
    """
    dedupe_ids: int = 20_000_000
    """Ids remembered per partition; beyond it the oldest are forgotten before the source's horizon,
    which is logged.
    """
    session_ms: int = 6000
    """After this many milliseconds without a sign of life a worker's partitions go to another
    one.
    """
    confirm_s: float = 30.0
    """Seconds that a barrier, a hand-over or an end waits for Kafka's confirmation before the
    process gives up.
    """
    file_prefixes: str = ""
    """Where announced files may lie: `source=s3://bucket/prefix/` separated by ';',
    `*` for every source; "": anywhere in the raw bucket.
    """
    file_bytes: int = 50_000_000_000
    """A larger file is refused."""
    http_body_bytes: int = 16_000_000
    """A larger HTTP request is answered with 413."""
    http_body_s: float = 10.0
    """A body that takes longer to come is answered with 408."""
    http_confirm_s: float = 10.0
    """Seconds that an HTTP request waits for Kafka before it is answered with 503."""
    http_threads: int = 16
    """Threads that answer HTTP requests; as many more may wait for one, and what comes beyond is
    shed with 503. Health has threads of its own.
    """
