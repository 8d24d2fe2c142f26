"""One worker process of the predictor: constructs readers, Kafka clients and threads after the fork, and the application on them."""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import structlog
import torch

from predict_svc.api.activation import Activation
from predict_svc.api.base import Api
from predict_svc.api.freshness import Freshness
from predict_svc.api.lane import PREFIX, lane
from predict_svc.api.predictor import Predictor
from predict_svc.api.raw_ends import RawEnds
from predict_svc.api.releases import CONSUMES
from predict_svc.api.routes import application
from predict_svc.api.serving import Network, Serving
from predict_svc.api.settings import PredictSettings
from predict_svc.view.errors import ViewNotReadyError
from predict_svc.view.reader import ViewReader
from schemas.events import Event, ModelPromoted, PredictionServed, encode
from schemas.plausible import foreign
from schemas.topics import topic_of
from twinstream.algebra import kernel
from twinstream.errors import MeshError
from twinstream.mesh import collecting, log
from twinstream.mesh.clock import WallClock
from twinstream.mesh.dead_letters import DeadLetters
from twinstream.mesh.door import Door, DoorSettings, hosts_of
from twinstream.mesh.events import EventPublisher, EventReader, cloud_headers
from twinstream.mesh.kafka.reach import watched
from twinstream.mesh.metrics import Metrics
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.pipeline_file import load
from twinstream.mesh.quarantine import Quarantine
from twinstream.mesh.settings import MeshSettings
from twinstream.nn.digest import ModelCorruptError
from twinstream.nn.files import from_files
from twinstream.nn.model_objects import fetch

PR_SET_PDEATHSIG = 1
SOURCE = "/predict_svc/api"
LINGER_MS = 20
"""Prediction events travel together: with 1 ms nearly each is a request of its own to the broker."""


def create() -> Door:
    """The application of this process; granian calls it once in each worker."""
    end_with_parent()
    settings, own = MeshSettings.from_env(), PredictSettings.from_env()
    log.configure("predict")
    torch.set_num_threads(1)
    pipeline = load(settings.pipeline)
    readers = {view.name: ViewReader(settings, view) for view in pipeline.views}
    for reader in readers.values():
        kernel.warm_up(reader.plan)
    metrics = Metrics(settings, "predict")
    publisher = EventPublisher(settings, SOURCE)
    predictions = EventPublisher(
        settings,
        SOURCE,
        lost=lambda n: metrics.count("predict_events_lost_total", n),
        most_waiting=2 * own.unsent_events,
        linger_ms=LINGER_MS,
    )
    serving, clock = Serving(), WallClock()
    ends = RawEnds(settings, sorted({view.source.name for view in pipeline.views}), own.ends_age_ms)
    activation = Activation(
        serving,
        pipeline,
        readers,
        lifecycle=lifecycle(settings, publisher, metrics),
        load=network_loader(settings, pipeline),
        load_retry_s=own.load_retry_s,
    )
    sources = [source.name for source in pipeline.sources]
    freshness = Freshness(
        readers, sources, ends, wait_bound_s=own.wait_bound_s, waiters=own.waiters
    )
    predictor = Predictor(readers, freshness, clock, max_rows=own.max_rows)

    def publish(event: PredictionServed) -> None:
        headers = cloud_headers(type(event).__name__, SOURCE)
        predictions.publish_raw(topic_of(event), encode(event), event.model, headers, wait=False)

    stop, reach = threading.Event(), watched(settings)
    for name, work in {
        "activation": lambda: activation.run(stop, own.refresh_s),
        "raw-ends": lambda: ends.keep_looking(stop, own.look_every_s),
    }.items():
        threading.Thread(target=follow, args=(name, work), name=name, daemon=True).start()
    atexit.register(close, stop, predictions, metrics)
    collecting.rarely()
    api = Api(
        pipeline=pipeline,
        serving=serving,
        predictor=predictor,
        readers=readers,
        publish=publish,
        refresh=activation.refresh,
        ready=lambda: readiness(activation, serving, readers, reach.away),
        meter=metrics,  # type: ignore[arg-type]
        clock=clock,
        room=lambda: len(predictions) < own.unsent_events,
    )
    app = application(api)
    door = DoorSettings(
        hosts=hosts_of(settings.http_host, settings.http_hosts),
        body_bytes=own.body_bytes,
        body_s=own.body_s,
        slots=own.threads,
    )
    return Door(app, door, metrics.count, {PREFIX: lane(api)})


def follow(name: str, work: Callable[[], None]) -> None:
    """Runs until the end; when it fails the process ends, for a predictor that no longer follows lies."""
    try:
        work()
    except BaseException:  # noqa: BLE001  the run loop's one catch-all: it ends the process
        structlog.get_logger().exception("thread_failed", thread=name)
        os._exit(1)


def network_loader(settings: MeshSettings, pipeline: Any) -> Any:
    """Fetches a promoted model's files in the versions that its event pins, and checks them against its digest."""
    store = ObjectStore(settings)

    def load_network(promoted: ModelPromoted) -> Network:
        model = pipeline.model(promoted.model)
        loaded = from_files(fetch(store, promoted), promoted.model_digest, model.network)
        if loaded.config.definition_digest != pipeline.digest:
            raise ModelCorruptError(
                f"model {promoted.model_digest[:12]} says that it was made for definition {loaded.config.definition_digest[:12]}"
            )
        return Network(promoted.model_digest, loaded)

    return load_network


def lifecycle(settings: MeshSettings, publisher: EventPublisher, metrics: Metrics) -> EventReader:
    """What happened to models, from the beginning; what is none of it, or names foreign objects, is a dead letter once."""
    quarantine = Quarantine(
        settings, "predict", DeadLetters(settings, "predict", publisher), metrics
    )

    def check(event: Event) -> str:
        return foreign(event, settings.bucket, settings.model_bucket)

    return EventReader(settings, [topic_of(CONSUMES[0])], refused=quarantine.refuse, check=check)


def readiness(
    activation: Activation, serving: Serving, readers: dict[str, ViewReader], away: str
) -> tuple[bool, dict[str, object]]:
    """Ready when the lifecycle topic was read to its end, every view can be read and Kafka answers;
    a model is not needed for that.

    `away` says why Kafka does not: questions are answered all the same, from what the views hold,
    until too many events wait.
    """
    now, waiting = serving.now, []
    for name, reader in readers.items():
        try:
            reader.positions(now.epochs.get(name))
        except ViewNotReadyError:
            waiting.append(name)
    detail: dict[str, object] = {
        "views_not_ready": waiting,
        "releases": {name: str(active.release) for name, active in now.active.items()},
        "reasons": now.reasons,
    }
    detail |= {"reason": away} if away else {}
    return activation.caught_up and not waiting and not away, detail


def close(stop: threading.Event, publisher: EventPublisher, metrics: Metrics) -> None:
    """Sends what is still to be sent."""
    stop.set()
    try:
        publisher.flush(2.0)
        metrics.close()
    except MeshError as error:
        structlog.get_logger().warning("closed_with_loss", reason=str(error))


def end_with_parent() -> None:
    """Linux ends this worker when the server that started it dies, even by kill -9: nothing is left that holds the port."""
    if os.path.exists("/proc/self/stat"):  # noqa: PTH110
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
