"""The ports of the loop, real: control topics, Spark, the history, S3."""

from __future__ import annotations

from pyspark.sql import SparkSession

from preprocess_svc.batch.epochs import Land, Seen
from preprocess_svc.batch.history import History
from preprocess_svc.batch.landing import Landing
from preprocess_svc.batch.retention import Retention
from preprocess_svc.batch.service import TOPICS
from preprocess_svc.batch.settings import BatchSettings
from preprocess_svc.batch.training_set import TrainingSets
from schemas.events import Event, TrainingSetPublished, ViewPublished
from twinstream.define import Pipeline
from twinstream.mesh.clock import Clock
from twinstream.mesh.events import EventPublisher, EventReader
from twinstream.mesh.metrics import Metrics
from twinstream.mesh.settings import MeshSettings


class Engine:
    """See `service.Ports`."""

    def __init__(
        self, spark: SparkSession, mesh: MeshSettings, knobs: BatchSettings, pipeline: Pipeline, clock: Clock, metrics: Metrics
    ) -> None:
        self._pipeline, self._metrics = pipeline, metrics
        self._reader = EventReader(mesh, TOPICS)
        self._publisher = EventPublisher(mesh, "/preprocess_svc/batch")
        self._history = History(spark, mesh, pipeline)
        self._history.ensure_tables()
        self._landing = Landing(spark, mesh, knobs, pipeline, self._history, clock, self.observe)
        self._training = TrainingSets(spark, mesh, knobs, pipeline, self._history)
        self._retention = Retention(mesh, knobs, pipeline)

    def poll(self, timeout_s: float) -> tuple[Event, int] | None:
        found = self._reader.poll(timeout_s)
        return None if found is None else (found[0], int(found[1].offset()))

    def at_end(self) -> bool:
        return self._reader.at_end()

    def publish(self, event: Event, key: str) -> None:
        self._publisher.publish(event, key)

    def land(self, step: Land, seen: Seen) -> list[ViewPublished]:
        return self._landing.land(step, seen)

    def train(self, model: str, manifest: ViewPublished) -> TrainingSetPublished | None:
        return self._training.build(self._pipeline.model(model), manifest.epoch, manifest.as_of_us)

    def retire(self, epoch: int) -> None:
        self._metrics.gauge("batch_epoch_number", epoch, "1")
        self._retention.sweep(epoch)

    def observe(self, phase: str, seconds: float) -> None:
        self._metrics.observe("batch_phase_seconds", seconds, "s", phase=phase)

    def close(self) -> None:
        self._reader.close()
        self._publisher.flush(2.0)
