"""The train service's ports, in memory."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from schemas.events import Event, ModelPromoted, TrainingSetPublished
from tests.unit.train.material import learnable, published, shop, statistics
from train_svc.adapters.in_process_tuner import InProcessTuner
from train_svc.adapters.linear_baseline import LinearBaseline
from train_svc.ports import Ports, Stored, TrainingSet
from train_svc.search import IN_PROCESS, RAY
from train_svc.settings import TrainSettings
from train_svc.trainer import Trainer
from twinstream.define import Pipeline
from twinstream.errors import MessageRefusedError, PublishError
from twinstream.mesh.attempts import Attempts
from twinstream.mesh.quarantine import Failures
from twinstream.mesh.settings import MeshSettings
from twinstream.nn.files import Loaded, from_files
from twinstream.protocol.model_metrics import LINEAR

ROWS, SECOND = 400, "second"
QUICK = TrainSettings(
    tuner="in-process", candidates=2, max_epochs=1, search_epochs=1, batch_size=128, threads=1
)


class Topic:
    """Events in order: what is published can be read, by every reader from its own place."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.refusals = 0
        self.too_large: type[Event] | None = None
        """Kafka never takes an event of this type."""

    def publish(self, event: Event, key: str | bytes | None = None, *, wait: bool = True) -> object:
        if self.refusals:
            self.refusals -= 1
            raise PublishError("Kafka did not take it")
        if self.too_large is not None and isinstance(event, self.too_large):
            raise MessageRefusedError("Kafka never takes a message of 9000000 bytes")
        self.events.append(event)
        return None


@dataclass
class FromTopic:
    topic: Topic
    at: int = 0

    def poll(self, timeout: float = 1.0) -> tuple[Event, Any] | None:
        if self.at >= len(self.topic.events):
            return None
        self.at += 1
        return self.topic.events[self.at - 1], None

    def lag(self) -> int:
        return len(self.topic.events) - self.at


@dataclass
class Sets:
    """Training sets; `raises` is what reading one does in place of an answer."""

    found: TrainingSet
    raises: Callable[[TrainingSetPublished], None] = lambda _event: None
    reads: int = 0

    def read(self, event: TrainingSetPublished) -> TrainingSet:
        self.reads += 1
        self.raises(event)
        return self.found


@dataclass
class Kept:
    """Models by digest."""

    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    raises: dict[str, Exception] = field(default_factory=dict)
    loaded: list[str] = field(default_factory=list)

    def save(self, model: str, digest: str, files: dict[str, bytes]) -> Stored:
        self.files[digest] = files
        return Stored(f"s3://models/{model}/{digest}", {})

    def load(self, promoted: ModelPromoted, network_class: Any) -> Loaded:
        if promoted.model_digest in self.raises:
            raise self.raises[promoted.model_digest]
        self.loaded.append(promoted.model_digest)
        return from_files(self.files[promoted.model_digest], promoted.model_digest, network_class)


@dataclass
class Hands:
    """A clock whose hands are set."""

    at_s: float = 1_700_000_000.0

    def now_us(self) -> int:
        return round(self.at_s * 1e6)

    def __call__(self) -> float:
        return self.at_s


def changed(**model: Any) -> Pipeline:
    """The shop with a second model, which is as the first one is; that has other attributes."""
    found = shop()
    first, second = copy.copy(found.models[0]), copy.copy(found.models[0])
    first.__dict__.update({"good_enough": {}, **model})
    second.__dict__.update({"good_enough": {}, "search": {"width": 16}, "name": SECOND})
    return Pipeline(found.name, models=[first, second])


class Mesh:
    """A topic, stores and a service that can be started again."""

    def __init__(self, data: Path, **model: Any) -> None:
        self.pipeline = changed(**model)
        self.data, self.topic, self.kept, self.clock = data, Topic(), Kept(), Hands()
        table = learnable(shop(), rows=ROWS)
        self.sets = Sets(TrainingSet(table, statistics(shop(), table)))
        here = InProcessTuner(data / "train")
        self.tuners: dict[str, Any] = {IN_PROCESS: here, RAY: here}
        self.baselines: dict[str, Any] = {LINEAR: LinearBaseline()}
        self.settings = QUICK

    def service(self) -> Trainer:
        """As after a restart: it knows what the topic and the disk say."""
        ports = Ports(
            pipeline=self.pipeline,
            settings=self.settings,
            training_sets=self.sets,
            models=self.kept,
            tuners=self.tuners,
            baselines=self.baselines,
            clock=self.clock,
        )
        failures = Failures(MeshSettings(pipeline="none", data=str(self.data)), "train")
        return Trainer(FromTopic(self.topic), self.topic, ports, Attempts(failures), self.clock)

    def land(self, epoch: int, model: str = "will-buy") -> None:
        """A training set is published."""
        event = published(self.pipeline, self.sets.found.table, epoch=epoch, digest=f"set-{epoch}")
        self.topic.publish(msgspec.structs.replace(event, model=model))

    def run(self, service: Trainer, steps: int = 12) -> list[Event]:
        """Steps with a minute between them; what they published."""
        before = len(self.topic.events)
        for _ in range(steps):
            service.step()
            self.clock.at_s += 60
        return self.topic.events[before:]
