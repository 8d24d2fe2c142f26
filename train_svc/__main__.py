"""Starts the train service: settings -> adapters -> run."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

import msgspec

from schemas.events import Event
from schemas.plausible import foreign
from train_svc.adapters.in_process_tuner import InProcessTuner
from train_svc.adapters.ray_tuner import RayTuner, importable
from train_svc.adapters.s3_models import S3Models
from train_svc.adapters.s3_training_sets import S3TrainingSets
from train_svc.ports import Ports
from train_svc.search import IN_PROCESS, RAY
from train_svc.service import TOPICS, Service
from train_svc.settings import TrainSettings
from twinstream.errors import MeshError
from twinstream.mesh import log
from twinstream.mesh.attempts import Attempts
from twinstream.mesh.clock import WallClock
from twinstream.mesh.dead_letters import DeadLetters
from twinstream.mesh.events import EventPublisher, EventReader
from twinstream.mesh.exit_codes import exit_code
from twinstream.mesh.heartbeat import Heartbeat
from twinstream.mesh.kafka.reach import watched
from twinstream.mesh.metrics import Metrics
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.pipeline_file import load
from twinstream.mesh.quarantine import Quarantine
from twinstream.mesh.settings import MeshSettings

STOP_BOUND_S = 4.0


def main() -> None:
    """Runs until SIGTERM."""
    settings, own = MeshSettings.from_env(), TrainSettings.from_env()
    log.configure("train")
    signal.signal(signal.SIGTERM, _stop)
    os.nice(own.nice)
    reach = watched(settings)
    heartbeat = Heartbeat(settings, "train", away=lambda: reach.away)
    heartbeat.beat(ready=False)
    publisher, metrics = EventPublisher(settings, "/train_svc"), Metrics(settings, "train")
    quarantine = Quarantine(settings, "train", DeadLetters(settings, "train", publisher), metrics)

    def check(event: Event) -> str:
        return foreign(event, settings.bucket, settings.model_bucket)

    reader = EventReader(settings, TOPICS, refused=quarantine.refuse, check=check)
    service = Service(reader, publisher, ports(settings, own), Attempts(quarantine.failures))
    threading.Thread(
        target=_beat, args=(heartbeat, metrics, service), name="heartbeat", daemon=True
    ).start()
    service.run()


def ports(settings: MeshSettings, own: TrainSettings) -> Ports:
    """The real things that the handlers need."""
    store, pipeline = ObjectStore(settings), load(settings.pipeline)
    ray = RayTuner(settings.ray_address, settings.data, own.parallel)
    here = InProcessTuner()
    shared = all(importable(model.network) for model in pipeline.models)
    return Ports(
        pipeline=pipeline,
        settings=own,
        training_sets=S3TrainingSets(store),
        models=S3Models(store, settings.model_bucket, pipeline.name),
        tuners={IN_PROCESS: here, RAY: ray if shared else here},
        clock=WallClock(),
    )


def _beat(heartbeat: Heartbeat, metrics: Metrics, service: Service) -> None:
    tick = threading.Event()
    while not tick.wait(1.0):
        working = int(service.state != "waiting")
        metrics.gauge("train_working", working, "")
        blocked = service.blocked
        detail: dict[str, object] = {"state": service.state}
        detail |= {"blocked": msgspec.to_builtins(blocked)} if blocked else {}
        heartbeat.beat(ready=blocked is None, lag=working, detail=detail)


def _stop(_number: int, _frame: Any) -> None:
    """Ends the process in the ordinary way, so that Ray's processes end with it; after a bound, at once."""
    timer = threading.Timer(STOP_BOUND_S, os._exit, (0,))
    timer.daemon = True
    timer.start()
    sys.exit(0)


if __name__ == "__main__":
    try:
        main()
    except MeshError as error:
        print(f"train: {error}", file=sys.stderr)
        sys.exit(exit_code(error))
