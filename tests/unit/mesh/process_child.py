"""A service of which `test_process.py` sees how it runs."""

from __future__ import annotations

import sys
from typing import ClassVar

from schemas.events import DataArrived, EpochSealed, MetricObserved, SealRequested
from schemas.topics import records_accepted, topic_of
from twinstream.mesh import process
from twinstream.mesh.events import EventPublisher, EventReader
from twinstream.mesh.knobs import Knobs
from twinstream.mesh.process import Process
from twinstream.mesh.service import SOURCE, Service


class Own(Knobs, frozen=True, kw_only=True):
    PREFIX: ClassVar[str] = "TWINSTREAM_CHILD_"

    instance: str = "1"
    pause_s: float = 0.0


SERVICE = Service(
    name="child",
    writer="ingest",
    settings=Own,
    consumes={SealRequested: lambda: None, records_accepted(SOURCE): lambda: None},
    produces=(EpochSealed, MetricObserved),
)


def waits(child: Process[Own]) -> None:
    pulse = child.pulse()
    pulse.tell(True, 3, {"epoch": 1})
    print("begun", flush=True)
    child.stopping.wait()


def reads_another(child: Process[Own]) -> None:
    EventReader(child.settings, [topic_of(DataArrived)])


def writes_another(child: Process[Own]) -> None:
    event = DataArrived(source="orders", files=[])
    EventPublisher(child.settings, "/child").publish(event, "orders")


CASES = {"waits": waits, "reads another": reads_another, "writes another": writes_another}


if __name__ == "__main__":
    process.run(SERVICE, CASES[sys.argv[1]])
