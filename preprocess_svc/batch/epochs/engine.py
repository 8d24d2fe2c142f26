"""The ports of the loop, real: control topics, Spark, the history, S3."""

from __future__ import annotations

import time

import structlog

from preprocess_svc.batch.epochs.decisions import Decisions
from preprocess_svc.batch.epochs.landing import Landing
from preprocess_svc.batch.epochs.plan import Land
from preprocess_svc.batch.epochs.retention import Retention
from preprocess_svc.batch.epochs.seen import Seen
from preprocess_svc.batch.history.table import History
from preprocess_svc.batch.service import SERVICE
from preprocess_svc.batch.spark.context import Context
from preprocess_svc.batch.training_sets.building import TrainingSets
from preprocess_svc.batch.training_sets.tables import TrainingTables
from schemas.events import EpochSealed, Event, ModelTrained, TrainingSetPublished, ViewPublished
from schemas.plausible import foreign
from schemas.topics import topic_of
from twinstream.mesh.clock import Clock
from twinstream.mesh.dead_letters import DeadLetters
from twinstream.mesh.events import EventPublisher, EventReader, pass_over
from twinstream.mesh.metrics import Metrics
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.quarantine import Quarantine
from twinstream.protocol.epoch_order import EpochOrder
from twinstream.protocol.manifests import Manifests

MODELS = [topic_of(ModelTrained)]
_log = structlog.get_logger()


class Engine:
    """See `ports.Ports`."""

    def __init__(
        self,
        context: Context,
        clock: Clock,
        metrics: Metrics,
        owner: str = "alone",
    ) -> None:
        self._pipeline = context.pipeline
        self._metrics = metrics
        self._publisher = EventPublisher(context.mesh, "/preprocess_svc/batch")
        self._letters = DeadLetters(context.mesh, "preprocess", self._publisher)
        quarantine = Quarantine(context.mesh, "batch", self._letters, metrics)
        self.failures = quarantine.failures
        self._mesh = context.mesh
        self._sealed = EpochOrder()
        self._landed = 0
        self._manifests = Manifests(context.pipeline, context.mesh.partitions, context.mesh.bucket)
        self._reader = EventReader(
            context.mesh, SERVICE.control_topics, refused=quarantine.refuse, check=self._unlikely
        )
        history = self._history = History(context)
        history.ensure_tables()
        store = ObjectStore(context.mesh)
        self._decisions = Decisions(store, context.mesh.bucket, context.pipeline.name, owner)
        self._landing = Landing(context, history, clock, self, self._decisions)
        self._training = TrainingSets(context, history)
        self._tables = TrainingTables(context)
        self._retention = Retention(context)

    def poll(self, timeout_s: float) -> tuple[Event, int] | None:
        """What nobody can believe is a dead letter: anyone may write to the topic of requests."""
        found = self._reader.poll(timeout_s)
        return None if found is None else (found[0], int(found[1].offset()))

    def _unlikely(self, event: Event) -> str:
        """Why an event does not fit this pipeline and what came before it; "" when it does."""
        if isinstance(event, EpochSealed):
            return self._sealed.refusal(event.epoch)
        return self._manifests.refusal(event) or foreign(
            event, self._mesh.bucket, self._mesh.model_bucket
        )

    def at_end(self) -> bool:
        return self._reader.at_end()

    def publish(self, event: Event, key: str) -> None:
        self._publisher.publish(event, key)

    def land(self, step: Land, seen: Seen) -> list[ViewPublished]:
        self._landed = step.epoch
        return self._landing.land(step, seen)

    def forgive(self) -> None:
        """This process is told to stop, perhaps in the middle of a file: see `ReadingMarks.forgive`."""
        self._landing.forgive(self._landed)

    def questions_since(
        self,
        model: str,
        before: int,
        epoch: int,
    ) -> int:
        return self._history.rows(
            self._pipeline.model(model).spine, epoch, since=before + 1
        ).count()

    def train(self, model: str, manifest: ViewPublished) -> TrainingSetPublished | None:
        return self._training.build(self._pipeline.model(model), manifest.epoch, manifest.as_of_us)

    def settle_training(
        self, mine: TrainingSetPublished, seal: EpochSealed | None
    ) -> TrainingSetPublished:
        return self._decisions.settle_training(seal, mine)

    def tabulate(self, published: TrainingSetPublished) -> None:
        self._tables.point(published)

    def retire(self, step: Land) -> None:
        self._metrics.gauge("batch_epoch_number", step.epoch, "1")
        self._landing.sweep(step)
        with EventReader(self._mesh, MODELS, refused=pass_over, check=self._unlikely) as reader:
            models = [event for event, _ in reader.read_to_end()]
        for model, epochs in self._retention.sweep(step.epoch, models).items():
            self._tables.keep(model, epochs)

    def observe(self, phase: str, seconds: float) -> None:
        self._metrics.observe("batch_phase_seconds", seconds, "s", phase=phase)

    def base_lost(self, view: str, reason: str) -> None:
        """A base on S3 is not what was published; the view is folded whole."""
        self._metrics.count("batch_bases_lost_total", 1, view=view)
        self.alert(f"the base of view {view} is folded whole from the history: {reason}")

    def alert(self, reason: str) -> None:
        _log.error("alert", reason=reason)
        self._metrics.count("mesh_alerts_total", 1, process="batch")
        self._letters.put(
            b"",
            reason,
            topic="preprocess.batch",
            partition=0,
            offset=time.time_ns() // 1000,
            kind="bug",
        )

    def close(self) -> None:
        self._reader.close()
        self._publisher.flush(2.0)
