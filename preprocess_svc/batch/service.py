"""The batch layer as data: what it reads, which handler takes it, what it writes.

| step (`epochs/loop.py`) | does | publishes |
|---|---|---|
| Seal | | EpochSealRequested |
| Land | history, fold | ViewPublished for each view |
| Train | training sets, where there is enough that is new | TrainingSetPublished for each model |
"""

from __future__ import annotations

from preprocess_svc.batch.epochs.seen import Seen
from preprocess_svc.batch.history import read_log
from preprocess_svc.batch.settings import BatchSettings
from schemas.events import (
    EpochSealed,
    EpochSealRequested,
    FileAccepted,
    FileWithdrawn,
    MetricObserved,
    ModelTrained,
    RetrainRequested,
    SealRequested,
    TrainingSetPublished,
    ViewPublished,
)
from schemas.topics import dead_letter, records_accepted
from twinstream.mesh.service import SOURCE, Service

SERVICE = Service(
    name="batch",
    writer="preprocess",
    settings=BatchSettings,
    consumes={
        FileAccepted: Seen.take,
        FileWithdrawn: Seen.take,
        SealRequested: Seen.take,
        EpochSealRequested: Seen.take,
        EpochSealed: Seen.take,
        ViewPublished: Seen.take,
        TrainingSetPublished: Seen.take,
        RetrainRequested: Seen.take,
        records_accepted(SOURCE): read_log.read,
    },
    looks_up=(ModelTrained,),
    produces=(
        EpochSealRequested,
        ViewPublished,
        TrainingSetPublished,
        MetricObserved,
        dead_letter("preprocess"),
    ),
    state="none: what is next follows from the topics; on S3 history, bases and training sets",
)
