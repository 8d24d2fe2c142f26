"""What is known of Kafka's clients lies in one package, and no process hides that Kafka is away."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ("ingest_svc", "preprocess_svc", "train_svc", "predict_svc", "monitor_svc")
HOME = ROOT / "twinstream" / "mesh" / "kafka"


def sources() -> list[Path]:
    folders = (*SERVICES, "twinstream", "examples")
    return [p for f in folders for p in sorted((ROOT / f).rglob("*.py")) if HOME not in p.parents]


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        (r"KafkaError\._", "errors.passes, errors.is_end: one list of what passes"),
        (r"\bget_watermark_offsets\(", "positions.range_of, positions.cached_range"),
        (r"\boffsets_for_times\(", "positions.at_time"),
        (r"\blist_offsets\(", "positions.ends"),
        (r"(?<![A-Za-z_])Producer\(", "producer.KafkaProducer, producer.RenewedProducer"),
    ],
)
def test_kafkas_clients_are_known_in_one_package(text: str, instead: str) -> None:
    found = [str(p.relative_to(ROOT)) for p in sources() if re.search(text, p.read_text())]
    assert found == [], f"use twinstream.mesh.kafka.{instead}"


def test_every_process_says_when_kafka_is_away() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in sources()
        for call in re.findall(r"\bHeartbeat\([^=\n]*=?", path.read_text())
        if not call.endswith("away=") and "self" not in call and "class" not in call
    ]
    assert silent == []
