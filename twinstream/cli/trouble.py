"""What `status` says of open dead letters and alerts, beside the processes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec
from confluent_kafka import KafkaException

from twinstream.cli.show import note, out, shown, table
from twinstream.errors import MeshError
from twinstream.mesh.open_letters import open_letters
from twinstream.mesh.settings import MeshSettings

REASON_CHARS = 100
UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (0, "s"))


def of_mesh(settings: MeshSettings, services: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """`dead_letters` by service, `alerts` as sentences, and why they are not known,
    "" when they are.
    """
    letters, unknown = dict[str, Any](), ""
    try:
        letters = msgspec.to_builtins(open_letters(settings))
    except (MeshError, KafkaException) as error:
        unknown = f"open dead letters are not counted: {error}"
    alerts = _blocked(services) + _bugs(letters)
    return {"dead_letters": letters, "alerts": alerts, "unknown": unknown}


def _blocked(services: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [
        f"{name} is blocked: {service['blocked']}"
        for name, service in services.items()
        if service.get("blocked")
    ]


def _bugs(letters: Mapping[str, Any]) -> list[str]:
    return [
        f"{name}: {one['bugs']} input(s) met a fault of the mesh; see "
        f"twinstream dead-letters list --kind bug --service {name}"
        for name, one in letters.items()
        if one["bugs"]
    ]


def show(found: Mapping[str, Any]) -> None:
    """For people."""
    if found["unknown"]:
        note(shown(found["unknown"]))
    if found["dead_letters"]:
        rows = [_row(name, one) for name, one in found["dead_letters"].items()]
        out.print(table(("open dead letters", "", "newest", "id", "its reason"), rows))
    for alert in found["alerts"]:
        out.print(f"[bold red]alert:[/] {shown(alert)}", soft_wrap=True)


def _row(name: str, one: Mapping[str, Any]) -> tuple[str, ...]:
    count = str(one["count"]) if one["whole"] else f"{one['count']} or more"
    reason = shown(one["reason"].replace("\n", " ")[:REASON_CHARS])
    return name, count, ago(one["newest_at_us"]), one["newest"], reason


def ago(at_us: int) -> str:
    """How long ago a time of this machine's clock was; "" for none."""
    if not at_us:
        return ""
    seconds = max(0, int(time.time() - at_us / 1e6))
    return next(f"{seconds // max(size, 1)} {unit}" for size, unit in UNITS if seconds >= size)
