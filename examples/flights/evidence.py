"""The demo's figures, each computed from what the mesh holds after the run; nothing is typed in."""

from __future__ import annotations

import os
import platform
import subprocess
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from confluent_kafka import Consumer

from examples.flights.live import Answer, Moment
from examples.flights.steps import Mesh
from examples.flights.variants import Compared
from schemas.events import FileAccepted
from schemas.topics import SERVICES, dead_letter, record_sent
from twinstream.audit.compare import Audit, keys_of
from twinstream.audit.everything import log_messages, log_records
from twinstream.audit.files import decode_file
from twinstream.define.records import Decoder
from twinstream.mesh.kafka.positions import range_of
from twinstream.mesh.kafka.spans import AT_ONCE, Span, messages

if TYPE_CHECKING:
    from twinstream.define import Source

ASK_S = 10.0

NEW_YORK = ZoneInfo("America/New_York")
BINS_MS = (0, 10, 20, 30, 40, 50, 75, 100, 150, 250, 500, 1000, 10_000)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the run left in hand."""

    moments: list[Moment]
    answers: list[Answer]
    sent: int
    killed: list[str]
    audit: Audit
    variants: Compared | None


class Flow(msgspec.Struct, frozen=True):
    """Records of one source: received raw or in files, in the log or in accepted files,
    repeated ids, and dead-lettered.
    """

    received: int
    logged: int
    duplicate: int
    dead_letters: int


def report(seconds: dict[str, float], mesh: Mesh, facts: Facts) -> dict[str, Any]:
    """The report as the README describes it."""
    flows = [flow(mesh, source) for source in mesh.pipeline.sources]
    fresh = np.array([a.fresh_ms for a in facts.answers if a.had_records])
    asked = np.array([a.answer_ms for a in facts.answers])
    predictions = sum(len(a.predictions) for a in facts.answers)
    result: dict[str, Any] = {
        "records": {
            "in": sum(f.received for f in flows),
            "logged": sum(f.logged for f in flows),
            "duplicate": sum(f.duplicate for f in flows),
            "dead_letters": sum(f.dead_letters for f in flows),
            "unaccounted": sum(f.received - f.logged - f.duplicate - f.dead_letters for f in flows),
        },
        "predictions": predictions,
        "throughput_per_s": round(facts.sent / seconds["live"], 1),
        "predictions_per_s": round(predictions / seconds["live"], 1),
        "freshness_ms": percentiles(fresh),
        "prediction_ms": percentiles(asked),
        "seam_difference": {"compared": facts.audit.compared, "different": facts.audit.different},
        "seam_by_view": {
            view: {"compared": n, "different": facts.audit.different_by_view.get(view, 0)}
            for view, n in facts.audit.by_view.items()
        },
        "seam_examples": msgspec.to_builtins(facts.audit.examples),
        "killed": facts.killed,
        "releases": dict(Counter(a.release for a in facts.answers)),
        "freshness_histogram": histogram(fresh),
        "seconds": {**seconds, "total": round(sum(seconds.values()), 2)},
        "memory_mb": mesh.peak_memory_mb(),
        "machine": machine(),
        "commit": commit(),
        "command": "make demo",
    }
    if facts.variants is not None:
        result |= facts.variants.figures()
    return result


def flow(mesh: Mesh, source: Source) -> Flow:
    """Counts a source's records from the topics and files themselves, by decoding every raw record
    and every file again.
    """
    decoder = Decoder(source, keys_of(mesh.pipeline, source))
    values = [value or b"" for _, _, value in log_messages(mesh.settings, record_sent(source.name))]
    live = decoder.json(values)
    logged = sum(1 for _ in log_records(mesh.settings, source))
    accepted = [a for a in mesh.events(FileAccepted) if a.source == source.name]
    files = [
        decode_file(decoder, mesh.store.get_uri(a.file.uri, a.file.version_id or None), a.format)
        for a in accepted
    ]
    good = sum(file.batch.num_rows for file in files)
    return Flow(
        received=len(values) + good + sum(len(file.errors) for file in files),
        logged=logged + good,
        duplicate=live.batch.num_rows - len(live.ids.unique()),
        dead_letters=dead_letter_of(mesh, source.name),
    )


def dead_letter_of(mesh: Mesh, source: str) -> int:
    """Records of a source, live or of files, that stand in a service's topic of dead letters;
    what was dead-lettered again after a restart counts once.
    """
    places = set()
    for service in SERVICES:
        for headers in headers_of(mesh, dead_letter(service)):
            topic = headers["dead_letter_topic"].decode()
            if headers.get("x_source") == source.encode() and (
                topic == record_sent(source) or topic.startswith("s3://")
            ):
                places.add((topic, headers["dead_letter_partition"], headers["dead_letter_offset"]))
    return len(places)


def headers_of(mesh: Mesh, topic: str) -> list[dict[str, bytes]]:
    """Headers of every message that a one-partition topic holds now."""
    consumer = Consumer(mesh.settings.kafka_client(group_id="twinstream-evidence") | AT_ONCE)
    try:
        span = Span(*range_of(consumer, topic, 0, ASK_S))
        return [dict(m.headers() or []) for m in messages(consumer, {(topic, 0): span}, ASK_S)]
    finally:
        consumer.close()


def percentiles(values: np.ndarray) -> dict[str, float]:
    """p50 and p99, milliseconds."""
    p50, p99 = np.percentile(values, [50, 99])
    return {"p50": round(float(p50), 2), "p99": round(float(p99), 2)}


def histogram(values: np.ndarray) -> dict[str, list[float]]:
    """Counts between fixed edges, milliseconds."""
    counts, edges = np.histogram(values, bins=np.array(BINS_MS))
    return {"edges_ms": [float(e) for e in edges], "counts": [int(c) for c in counts]}


def machine() -> dict[str, Any]:
    """What it ran on."""
    kilobytes = int(Path("/proc/meminfo").read_text(encoding="ascii").split()[1])
    lines = Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(kilobytes / 2**20, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "at": datetime.now(NEW_YORK).isoformat(timespec="seconds"),
    }


def commit() -> str:
    """The commit of this checkout, `-dirty` when it has changes; "" outside a checkout."""
    command = [
        "git",
        "-C",
        str(Path(__file__).parent),
        "describe",
        "--always",
        "--dirty",
        "--exclude",
        "*",
    ]
    described = subprocess.run(command, capture_output=True, text=True, check=False)
    return described.stdout.strip()
