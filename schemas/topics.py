"""Every topic, bucket prefix and Hive table of the mesh: the one place where their names are
written.
"""

# A topic's name is `<writer>.<fact>.v<major>`: dots between parts, hyphens inside,
# never underscores. One writer per topic.

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from schemas import events as ev

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
PARTITIONER = "murmur2_random"
"""How every sender of raw records cuts keys to partitions, in librdkafka's name:
as Java's client does. Ingest finds a repeat of an id only where its first came.
"""
SERVICES = ("ingest", "preprocess", "predict", "train", "monitor")


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """A topic as it is created: `partitions` 0 means as many as the mesh's data topics have."""

    name: str
    writer: str
    what: str
    public: str = ""
    partitions: int = 1
    retention_ms: int = 7 * DAY_MS
    retention_bytes: int = -1
    cleanup: str = "delete"
    timestamps: str = "CreateTime"


def record_sent(source: str) -> str:
    """Raw topic of a source's live records, JSON, keyed by the source's key."""
    return f"client.record-sent.{source}.v1"


def prediction_asked(model: str) -> str:
    """Questions to a model: what `POST /v1/predict/<model>` takes, each in a message."""
    return f"client.prediction-asked.{model}.v1"


def records_accepted(source: str) -> str:
    """The log of a source: packs and barriers."""
    return f"ingest.records-accepted.{source}.v1"


def partials_folded(view: str) -> str:
    """Partial states of a view, from the speed layer."""
    return f"preprocess.partials-folded.{view}.v1"


def dead_letter(service: str) -> str:
    """What a service could not handle."""
    return f"{service}.dead-letter.v1"


_FIXED: dict[type[ev.Event] | tuple[type[ev.Event], ...], Topic] = {
    ev.DataArrived: Topic(
        name="client.data-arrived.v1", writer="client", public="in", what="files are on S3"
    ),
    ev.SealRequested: Topic(
        name="client.seal-requested.v1", writer="client", public="in", what="end the epoch now"
    ),
    ev.FileWithdrawn: Topic(
        name="client.file-withdrawn.v1",
        writer="client",
        public="in",
        what="take an accepted file back before its epoch",
        retention_ms=-1,
    ),
    ev.DeadLetterResolved: Topic(
        name="client.dead-letter-resolved.v1",
        writer="client",
        public="in",
        what="a dead letter was replayed or dropped",
        retention_ms=60 * DAY_MS,
    ),  # twice as long as dead letters are kept
    ev.FileAccepted: Topic(
        name="ingest.file-accepted.v1",
        writer="ingest",
        what="a checked file, in its order",
        retention_ms=-1,
    ),
    ev.EpochSealRequested: Topic(
        name="preprocess.epoch-seal-requested.v1",
        writer="preprocess",
        what="the end of an epoch asked for",
    ),
    ev.EpochSealed: Topic(
        name="ingest.epoch-sealed.v1",
        writer="ingest",
        what="the barriers' offsets",
        retention_ms=-1,
    ),
    ev.ViewPublished: Topic(
        name="preprocess.view-published.v1",
        writer="preprocess",
        what="manifest of a batch view",
        retention_ms=-1,
    ),
    ev.TrainingSetPublished: Topic(
        name="preprocess.training-set-published.v1",
        writer="preprocess",
        what="manifest of a training set",
        retention_ms=-1,
    ),
    (
        ev.ModelTrained,
        ev.ModelPromoted,
        ev.ModelRejected,
        ev.ModelRolledBack,
        ev.ModelHeld,
        ev.ShadowChosen,
        ev.CanaryChosen,
    ): Topic(
        name="train.model-lifecycle.v1",
        writer="train",
        public="out",
        what="trained, promoted, rejected, rolled back, held, asked beside: "
        "by the trainer, or by hand",
        retention_ms=-1,
    ),
    ev.PredictionServed: Topic(
        name="predict.prediction-served.v1",
        writer="predict",
        public="out",
        what="answers, rebuildable",
        retention_ms=30 * DAY_MS,
    ),
    ev.DriftDetected: Topic(
        name="monitor.drift-detected.v1", writer="monitor", public="out", what="a series changed"
    ),
    ev.RetrainRequested: Topic(
        name="monitor.retrain-requested.v1",
        writer="monitor",
        public="out",
        what="train again, and why",
    ),
    ev.MetricObserved: Topic(
        name="mesh.metric-observed.v1",
        writer="mesh",
        public="out",
        what="every run-time metric",
        retention_ms=DAY_MS,
    ),
    ev.GapFound: Topic(
        name="predict.gap-found.v1", writer="predict", what="a break in a chain of partials"
    ),
}

CONTROL_TOPICS: tuple[Topic, ...] = (
    *_FIXED.values(),
    *(
        Topic(
            name=dead_letter(service),
            writer=service,
            public="out",
            what="what could not be handled",
            retention_ms=30 * DAY_MS,
        )
        for service in SERVICES
    ),
)
_NAME_OF: dict[type[ev.Event], str] = {
    kind: topic.name
    for kinds, topic in _FIXED.items()
    for kind in (kinds if isinstance(kinds, tuple) else (kinds,))
}


def topic_of(event: ev.Event | type[ev.Event]) -> str:
    """Name of the control topic that carries this event (or event type)."""
    return _NAME_OF[event if isinstance(event, type) else type(event)]


def data_topics(
    sources: Iterable[str],
    views: Iterable[str],
    models: Iterable[str] = (),
    *,
    wall_clock: bool = True,
) -> tuple[Topic, ...]:
    """Raw and log topic of each source, partials topic of each view, questions of each model;
    their partition count is the mesh's.
    """
    names = list(sources)
    return (
        *(_raw_topic(name, wall_clock=wall_clock) for name in names),
        *map(_log_topic, names),
        *map(_partials_topic, views),
        *map(_questions_topic, models),
    )


def _raw_topic(source: str, *, wall_clock: bool) -> Topic:
    return Topic(
        name=record_sent(source),
        writer="client",
        public="in",
        partitions=0,
        timestamps="LogAppendTime" if wall_clock else "CreateTime",
        what=f"live records of {source}",
        # A replay's records bear times long past: retention by time would drop them before they
        # are read.
        retention_ms=7 * DAY_MS if wall_clock else -1,
    )


def _log_topic(source: str) -> Topic:
    return Topic(
        name=records_accepted(source),
        writer="ingest",
        partitions=0,
        retention_ms=-1,
        what=f"the log of {source}",
    )


def _partials_topic(view: str) -> Topic:
    return Topic(
        name=partials_folded(view),
        writer="preprocess",
        partitions=0,
        what=f"partial states of {view}",
    )


def _questions_topic(model: str) -> Topic:
    return Topic(
        name=prediction_asked(model),
        writer="client",
        public="in",
        partitions=0,
        what=f"questions to {model}",
    )


def all_topics(
    sources: Iterable[str],
    views: Iterable[str],
    models: Iterable[str] = (),
    *,
    wall_clock: bool = True,
) -> tuple[Topic, ...]:
    """Everything that a mesh with these sources, views and models needs, control topics first."""
    return (*CONTROL_TOPICS, *data_topics(sources, views, models, wall_clock=wall_clock))


def history_table(pipeline: str, source: str) -> str:
    """Hive table (`database.table`) of all accepted records of a source, partitioned by
    `_epoch`.
    """
    return f"{pipeline.replace('-', '_')}.history_{source.replace('-', '_')}"


def training_table(pipeline: str, model: str, epoch: int) -> str:
    """Hive table (`database.table`) of a training set."""
    return f"{pipeline.replace('-', '_')}.training_{model.replace('-', '_')}_e{epoch}"


def history_path(bucket: str, pipeline: str, source: str) -> str:
    """S3 location of a history table."""
    return f"s3://{bucket}/{pipeline}/history/{source}"


def base_prefix(pipeline: str, view: str, epoch: int) -> str:
    """Key prefix in the warehouse bucket of one batch view."""
    return f"{pipeline}/bases/{view}/epoch={epoch:08d}"


def verdict_prefix(pipeline: str, epoch: int) -> str:
    """Key prefix in the warehouse bucket of what workers say of the files of one epoch that cannot
    be read.
    """
    return f"{pipeline}/verdicts/epoch={epoch:08d}"


def decision_prefix(pipeline: str, epoch: int) -> str:
    """Key prefix in the warehouse bucket of what was decided about one epoch, each thing once."""
    return f"{pipeline}/decisions/epoch={epoch:08d}"


def owner_prefix(pipeline: str) -> str:
    """Key prefix in the warehouse bucket of who the batch process at work is, by generation."""
    return f"{pipeline}/decisions/owner"


def training_prefix(pipeline: str, model: str, epoch: int) -> str:
    """Key prefix in the warehouse bucket of one training set."""
    return f"{pipeline}/training/{model}/epoch={epoch:08d}"


def score_prefix(pipeline: str, model: str) -> str:
    """Key prefix in the warehouse bucket of batches of scores that were given no other place."""
    return f"{pipeline}/scores/{model}"


def dead_letter_prefix(service: str) -> str:
    """Key prefix in the warehouse bucket of dead letters that are too large for a message."""
    return f"dead-letters/{service}"


def model_prefix(pipeline: str, model: str) -> str:
    """Key prefix in the model bucket of one model's files."""
    return f"{pipeline}/{model}"
