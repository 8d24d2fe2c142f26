"""Everything real of one worker process of the predictor, put together after the fork."""

from __future__ import annotations

import atexit
from collections.abc import Callable

import msgspec
import structlog
import torch

from predict_svc.api import view_lane
from predict_svc.api.activation import Activation
from predict_svc.api.adapters.kafka_questions import KafkaQuestions
from predict_svc.api.base import Api
from predict_svc.api.freshness import Freshness
from predict_svc.api.inference import tensor_routes
from predict_svc.api.journal import Journal
from predict_svc.api.lane import PREFIX, lane
from predict_svc.api.loading import network_loader
from predict_svc.api.predictor import Predictor
from predict_svc.api.publishing import (
    LINGER_MS,
    SOURCE,
    Remembering,
    journal_folder,
    publisher_of,
    sender_of,
)
from predict_svc.api.questions import Questions
from predict_svc.api.raw_ends import RawEnds
from predict_svc.api.readiness import readiness
from predict_svc.api.recovering import Recovery
from predict_svc.api.routes import application
from predict_svc.api.service import SERVICE
from predict_svc.api.serving import Active, Serving
from predict_svc.api.settings import PredictSettings
from predict_svc.api.shadowing import Shadowing
from predict_svc.view.opening import open_reader
from predict_svc.view.reader import ViewReader
from schemas.events import Event
from schemas.plausible import foreign
from schemas.topics import prediction_asked
from twinstream.algebra import kernel
from twinstream.errors import MeshError
from twinstream.mesh import collecting, door, process
from twinstream.mesh.door import Door, DoorSettings
from twinstream.mesh.events import EventPublisher, EventReader
from twinstream.mesh.process import Process

Worker = Process[PredictSettings]
Readers = dict[str, ViewReader]


def create() -> Door:
    """The application of this process; granian calls it once in each worker."""
    worker = process.worker(SERVICE)
    torch.set_num_threads(1)
    api = answering(worker)
    collecting.rarely()
    own = worker.own
    settings = msgspec.structs.replace(
        DoorSettings.of(
            worker.settings, body_bytes=own.body_bytes, body_s=own.body_s, slots=own.threads
        ),
        live=(door.LIVE, tensor_routes.LIVE),
        ready=(door.READY, tensor_routes.READY),
    )
    return Door(
        application(api),
        settings,
        worker.metrics.count,
        {PREFIX: lane(api)},
        {view_lane.PREFIX: view_lane.view_lane(api)},
    )


def answering(worker: Worker) -> Api:
    """What the routes stand on, with the threads that keep it current."""
    readers, serving, ends = readers_of(worker), Serving(), raw_ends(worker)
    activation = activation_of(
        worker,
        serving,
        readers,
    )
    predictions = _predictions(worker)
    journal = Journal(journal_folder(worker.settings))
    remembering = remembering_of(worker, predictions, journal)
    shadowing = shadowing_of(worker, serving, remembering)
    keep_current(
        worker,
        activation,
        ends,
    )
    recover(worker)
    atexit.register(
        close,
        worker,
        predictions,
        journal,
        shadowing,
    )
    reach = worker.reach
    api = Api(
        pipeline=worker.pipeline,
        serving=serving,
        predictor=predictor_of(worker, readers, ends),
        readers=readers,
        publish=shadowing.publish,
        refresh=activation.refresh,
        ready=lambda: readiness(activation, serving, readers, reach.away),
        meter=worker.metrics,  # type: ignore[arg-type]
        clock=worker.clock,
        room=remembering.room,
        body_bytes=worker.own.body_bytes,
    )
    if worker.own.asked_rows:
        for model in worker.pipeline.models:
            read_questions(worker, api, model.name, shadowing)
    return api


def shadowing_of(worker: Worker, serving: Serving, remembering: Remembering) -> Shadowing:
    """What asks candidates beside what serves, with its thread."""
    shadowing = Shadowing(
        serving,
        keep=remembering.keep,
        send=remembering.send,
        meter=worker.metrics,  # type: ignore[arg-type]
        share=worker.own.shadow_share,
    )
    worker.ending.thread("shadow", lambda: shadowing.run(worker.stopping))
    return shadowing


def read_questions(worker: Worker, api: Api, model: str, shadowing: Shadowing) -> None:
    """Answers what is asked of a model over Kafka, in a thread: a model without a release keeps
    nobody else waiting. A predictor that cannot go on with it ends.
    """
    settings, most = worker.settings, worker.own.asked_rows
    topic = prediction_asked(model)
    predictions = EventPublisher(settings, SOURCE, linger_ms=LINGER_MS)
    quarantine = worker.quarantine(EventPublisher(settings, SOURCE))
    questions = Questions(
        api,
        model,
        publish=shadowing.beside(publisher_of(predictions)),
        refuse=quarantine.refuse,
        most_rows=most,
    )
    asked = KafkaQuestions(
        EventReader(settings, [topic], group=f"predict-{model}"),
        questions,
        quarantine,
        flush=predictions.flush,
        most=most,
    )
    worker.ending.thread(f"questions-{model}", lambda: asked.run(worker.stopping))


def readers_of(worker: Worker) -> Readers:
    """A reader of each view, compiled."""
    readers = {view.name: open_reader(worker.settings, view) for view in worker.pipeline.views}
    for reader in readers.values():
        kernel.warm_up(reader.plan)
    return readers


def raw_ends(worker: Worker) -> RawEnds:
    """Where the raw topics of all views end."""
    sources = sorted({view.source.name for view in worker.pipeline.views})
    return RawEnds(
        worker.settings,
        sources,
        worker.own.ends_age_ms,
    )


def predictor_of(
    worker: Worker,
    readers: Readers,
    ends: RawEnds,
) -> Predictor:
    """What answers, as fresh as a question asks."""
    own, sources = worker.own, [source.name for source in worker.pipeline.sources]
    freshness = Freshness(
        readers, sources, ends, wait_bound_s=own.wait_bound_s, waiters=own.waiters
    )
    return Predictor(
        readers,
        freshness,
        worker.clock,
        max_rows=own.max_rows,
        canary_failed=failures_of_canaries(worker),
    )


def failures_of_canaries(worker: Worker) -> Callable[[Active, Exception], None]:
    """Counts what a canary could not answer."""

    def failed(active: Active, error: Exception) -> None:
        model = active.form.model.name
        reason = str(error)[:500]
        worker.metrics.count("predict_canary_failed_total", 1, model=model)
        structlog.get_logger().warning("canary_failed", release=active.name, reason=reason)

    return failed


def activation_of(
    worker: Worker,
    serving: Serving,
    readers: Readers,
) -> Activation:
    """What decides which release answers."""
    return Activation(
        serving,
        worker.pipeline,
        readers,
        lifecycle=lifecycle(worker),
        load=network_loader(worker.settings, worker.pipeline),
        load_retry_s=worker.own.load_retry_s,
    )


def lifecycle(worker: Worker) -> EventReader:
    """What happened to models, from the beginning; what is not that, or names foreign objects, is
    a dead letter once.
    """
    settings = worker.settings
    quarantine = worker.quarantine(EventPublisher(settings, SOURCE))

    def check(event: Event) -> str:
        return foreign(
            event,
            settings.bucket,
            settings.model_bucket,
        )

    topics, refused = SERVICE.control_topics, quarantine.refuse
    return EventReader(
        settings,
        topics,
        refused=refused,
        check=check,
    )


def _predictions(worker: Worker) -> EventPublisher:
    """What keeps prediction events until Kafka takes them."""
    return EventPublisher(
        worker.settings,
        SOURCE,
        lost=lambda n: worker.metrics.count("predict_events_lost_total", n),
        most_waiting=2 * worker.own.unsent_events,
        linger_ms=LINGER_MS,
    )


def remembering_of(
    worker: Worker,
    predictions: EventPublisher,
    journal: Journal,
) -> Remembering:
    """What keeps answers' events until Kafka has them."""
    own = worker.own
    return Remembering(
        predictions,
        journal,
        most=own.unsent_events,
        refuse=own.unkept == "refuse",
        lost=lambda n: worker.metrics.count("predict_events_lost_total", n),
    )


def keep_current(
    worker: Worker,
    activation: Activation,
    ends: RawEnds,
) -> None:
    """A predictor that no longer follows lies: it ends with either thread."""
    stop, own = worker.stopping, worker.own
    worker.ending.thread("activation", lambda: activation.run(stop, own.refresh_s))
    worker.ending.thread("raw-ends", lambda: ends.keep_looking(stop, own.look_every_s))


def recover(worker: Worker) -> None:
    """Sends, in a thread, what earlier predictors of this host could not."""
    folder, publisher = journal_folder(worker.settings), EventPublisher(worker.settings, SOURCE)
    recovery = Recovery(folder, sender_of(publisher), worker.metrics.count)
    worker.ending.thread("recovery", lambda: recovery.run(worker.stopping))


def close(
    worker: Worker,
    predictions: EventPublisher,
    journal: Journal,
    shadowing: Shadowing,
) -> None:
    """Sends what is still to be sent; what Kafka does not take is the next predictor's."""
    worker.stopping.set()
    try:
        shadowing.close()
        predictions.flush(2.0)
        worker.metrics.close()
    except MeshError as error:
        structlog.get_logger().warning("closed_with_unsent", reason=str(error))
    journal.close()
