"""Everything real of the train service, put together."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from schemas.events import Event
from schemas.plausible import foreign
from train_svc.adapters.in_process_tuner import InProcessTuner
from train_svc.adapters.lightgbm_baseline import LightGbmBaseline
from train_svc.adapters.linear_baseline import LinearBaseline
from train_svc.adapters.ray_tuner import RayTuner, importable
from train_svc.adapters.s3_models import S3Models
from train_svc.adapters.s3_training_sets import S3TrainingSets
from train_svc.ports import Ports, Tuner
from train_svc.search import IN_PROCESS, RAY
from train_svc.service import SERVICE
from train_svc.settings import TrainSettings
from train_svc.trainer import WAITING, Trainer
from twinstream.mesh.attempts import Attempts
from twinstream.mesh.events import EventPublisher, EventReader
from twinstream.mesh.heartbeat import Vitals
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.process import Process
from twinstream.protocol.model_metrics import BOOSTING, LINEAR


def run(process: Process[TrainSettings]) -> None:
    """Train for ever. A stop raises in the middle of it, so that Ray's processes end with it."""
    os.nice(process.own.nice)
    process.ending.on_stop(sys.exit)
    trainer = _made(process)
    process.beats(lambda: vitals(process, trainer))
    trainer.run()


def _made(process: Process[TrainSettings]) -> Trainer:
    """The trainer on its ports."""
    settings = process.settings
    publisher = EventPublisher(
        settings,
        "/train_svc",
    )
    quarantine = process.quarantine(publisher)

    def check(event: Event) -> str:
        return foreign(
            event,
            settings.bucket,
            settings.model_bucket,
        )

    topics, refused = SERVICE.control_topics, quarantine.refuse
    reader = EventReader(
        settings,
        topics,
        refused=refused,
        check=check,
    )
    return Trainer(reader, publisher, _ports(process), Attempts(quarantine.failures))


def _ports(process: Process[TrainSettings]) -> Ports:
    """The real things that the handlers need."""
    store, pipeline = ObjectStore(process.settings), process.pipeline
    return Ports(
        pipeline=pipeline,
        settings=process.own,
        training_sets=S3TrainingSets(store),
        models=S3Models(store, process.settings.model_bucket, pipeline.name),
        tuners=tuners(process),
        baselines={
            LINEAR: LinearBaseline(),
            BOOSTING: LightGbmBaseline(process.own.baseline_rounds),
        },
        clock=process.clock,
    )


def tuners(process: Process[TrainSettings]) -> dict[str, Tuner]:
    """Where candidates are searched; Ray's processes can only import networks of a module."""
    settings = process.settings
    here = InProcessTuner(Path(settings.data) / "train")
    shared = all(importable(model.network) for model in process.pipeline.models)
    ray = RayTuner(
        settings.ray_address,
        settings.data,
        process.own.parallel,
    )
    return {IN_PROCESS: here, RAY: ray if shared else here}


def vitals(
    process: Process[TrainSettings],
    trainer: Trainer,
) -> Vitals:
    """How training is."""
    working, blocked = int(trainer.state != WAITING), trainer.blocked
    process.metrics.gauge(
        "train_working",
        working,
        "",
    )
    detail: dict[str, object] = {"state": trainer.state}
    detail |= {"blocked": msgspec.to_builtins(blocked)} if blocked else {}
    return blocked is None, working, detail
