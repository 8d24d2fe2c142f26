"""`python -m preprocess_svc.speed`: one speed worker."""

from __future__ import annotations

import sys

from preprocess_svc.speed.resume import Resume
from preprocess_svc.speed.settings import SpeedSettings
from preprocess_svc.speed.worker import SpeedWorker
from twinstream.algebra import kernel
from twinstream.errors import MeshError
from twinstream.mesh import faust_app, pipeline_file
from twinstream.mesh.dead_letters import DeadLetters
from twinstream.mesh.exit_codes import exit_code
from twinstream.mesh.heartbeat import Heartbeat
from twinstream.mesh.kafka.reach import watched
from twinstream.mesh.log import configure
from twinstream.mesh.metrics import Metrics
from twinstream.mesh.quarantine import Quarantine
from twinstream.mesh.settings import MeshSettings

READY_LAG = 2000


def main() -> None:
    """Settings, worker, Faust."""
    log = configure("speed")
    try:
        settings, knobs = MeshSettings.from_env(), SpeedSettings.from_env()
        pipeline = pipeline_file.load(settings.pipeline)
        metrics = Metrics(settings, "speed")
        name = "speed" if knobs.instance in {"1", settings.instance} else f"speed-{knobs.instance}"
        quarantine = Quarantine(settings, name, DeadLetters(settings, "preprocess"), metrics)
        resume = Resume(settings, pipeline, knobs.clock_skew_s, quarantine.refuse)
        worker = SpeedWorker(
            settings, knobs, pipeline, resume, metrics=metrics, refused=quarantine.refuse
        )
    except MeshError as error:
        log.error("cannot_start", reason=str(error))  # noqa: TRY400  a user's mistake needs no trace
        sys.exit(exit_code(error))
    reach = watched(settings)
    heartbeat = Heartbeat(settings, name, away=lambda: reach.away)
    heartbeat.beat(ready=False)
    for plan in worker.plans:
        kernel.warm_up(plan)
    worker.app = faust_app.CarrierApp(settings, worker.options, worker)

    def beat(lag: int | None) -> None:
        if lag is not None:
            metrics.gauge("speed_lag_messages", lag)
        ready = worker.assigned and not worker.blocks and (lag is None or lag <= READY_LAG)
        detail = {"partitions": len(worker.next_offsets()), **worker.blocks.detail()}
        heartbeat.beat(ready=ready, lag=lag, detail=detail)

    faust_app.run(worker.app, beat, [worker.watch_gaps], away=lambda: reach.away)


if __name__ == "__main__":
    main()
