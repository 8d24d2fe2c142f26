"""Starts ingest: `python -m ingest_svc`. Settings, adapters, then rounds until a signal or an error."""

from __future__ import annotations

import signal
import sys
import threading
import time

from ingest_svc import id_table, json_scan
from ingest_svc.adapters.kafka_files import FileArrivals
from ingest_svc.adapters.kafka_log import KafkaLog
from ingest_svc.adapters.kafka_raw import KafkaRaw
from ingest_svc.adapters.kafka_seals import KafkaSeals
from ingest_svc.adapters.kafka_tail import KafkaTail
from ingest_svc.adapters.kafka_tails import KafkaTails
from ingest_svc.adapters.s3_objects import S3Objects
from ingest_svc.file_check import Allowed, prefixes_of
from ingest_svc.identity import instance_of
from ingest_svc.service import Ingest, Ports, SourceSetup
from ingest_svc.settings import IngestSettings
from ingest_svc.validation import Screen
from schemas.partials import STATE_BYTES
from twinstream.algebra.plan import ViewPlan
from twinstream.define.compiled import cells
from twinstream.define.pipeline import Pipeline
from twinstream.define.records import Decoder
from twinstream.errors import MeshError, NotRunningError
from twinstream.mesh import collecting, log, pipeline_file, topics_admin
from twinstream.mesh.clock import WallClock
from twinstream.mesh.dead_letters import DeadLetters
from twinstream.mesh.events import EventPublisher
from twinstream.mesh.exit_codes import exit_code
from twinstream.mesh.heartbeat import BackgroundBeat, Heartbeat
from twinstream.mesh.kafka.reach import watched
from twinstream.mesh.metrics import Metrics
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.quarantine import Quarantine
from twinstream.mesh.settings import MeshSettings

BEAT_EVERY_S = 0.5
SILENT_GROUP_S = 60.0
"""A group that waits for a member that is no more says nothing for minutes; one that joins under
the same name takes its place.
"""
COLLECT_AFTER = 200_000
"""New objects after which Python looks for cycles among them: far more than the `pack_rows` messages of a round, which have none."""


def pack_rows(pipeline: Pipeline, source: str) -> int:
    """Rows whose states, each of another key, fit a partial of every view of the source."""
    return STATE_BYTES // max(
        (ViewPlan(view).bytes_a_record for view in pipeline.views_of(source)), default=1
    )


class Process:
    """Everything real that the process holds."""

    def __init__(
        self,
        settings: MeshSettings,
        knobs: IngestSettings,
        pipeline: Pipeline,
        stopping: threading.Event,
    ) -> None:
        topics_admin.ensure(settings, pipeline)
        clock, reach = WallClock(), watched(settings)
        self._reach = reach
        sources = {source.name: source for source in pipeline.sources}
        decoders = {
            name: Decoder(
                source, [v.by for v in pipeline.views_of(name)], json_scan.scan_of(source)
            )
            for name, source in sources.items()
        }
        id_table.warm_up()
        json_scan.warm_up()
        cells.warm_up()
        for decoder in decoders.values():
            decoder.json(
                [b"{}"]
            )  # Arrow loads what it needs on first use (0.3 s): not while records wait
        setups = {
            name: SourceSetup(
                Screen(decoders[name], knobs.record_bytes),
                source.pack_schema,
                pack_rows(pipeline, name),
            )
            for name, source in sources.items()
        }
        events = EventPublisher(settings, "/ingest_svc")
        dead_letters = DeadLetters(settings, "ingest", EventPublisher(settings, "/ingest_svc"))
        self.metrics = Metrics(settings, "ingest")
        self.seals = KafkaSeals(
            settings, Quarantine(settings, "ingest", dead_letters, self.metrics).refuse
        )
        ports = Ports(
            log=KafkaLog(settings, sources, knobs.confirm_s, stopping),
            tails=KafkaTails(KafkaTail(settings), sources, knobs),
            dead_letters=dead_letters,
            events=events,
            seals=self.seals,
            meter=self.metrics,
            clock=clock,
        )
        self.ingest = Ingest(
            ports, setups, knobs, replay=settings.clock == "replay", stopping=stopping
        )
        self.raw = KafkaRaw(
            settings,
            knobs,
            f"ingest-{pipeline.name}",
            instance_of(settings.data, knobs.worker),
            sources,
            opened=self.ingest.open,
            closed=self.ingest.close,
            stopping=stopping,
        )
        self.files = FileArrivals(
            settings,
            f"ingest-files-{pipeline.name}",
            decoders=decoders,
            objects=S3Objects(ObjectStore(settings)),
            allowed=Allowed(
                prefixes_of(knobs.file_prefixes, settings.raw_bucket), knobs.file_bytes
            ),
            dead_letters=DeadLetters(settings, "ingest", EventPublisher(settings, "/ingest_svc")),
            events=events,
            meter=self.metrics,
            clock=clock,
        )
        self.heartbeat = Heartbeat(settings, "ingest", away=lambda: reach.away)
        self.pulse = BackgroundBeat(self.heartbeat)

    def run(self, stopping: threading.Event) -> None:
        """Rounds until `stopping`; then everything is flushed."""
        collecting.rarely(COLLECT_AFTER)
        self.files.start()
        self.pulse.run_until(stopping)
        next_beat = 0.0
        while not stopping.is_set():
            self.ingest.step(self.raw)
            if self.files.failure is not None:
                raise self.files.failure
            if time.monotonic() >= next_beat:
                next_beat = time.monotonic() + BEAT_EVERY_S
                self._tell()
        self.files.stop()
        self.ingest.flush()
        self.heartbeat.beat(False, None, {"state": "stopped"})
        self.raw.close()
        self.metrics.close()

    def _tell(self) -> None:
        lag = self.ingest.lag(self.raw)
        self.metrics.gauge("ingest_lag_records", lag, "records")
        lanes = {
            f"{place.source}/{place.partition}": lane.next_raw
            for place, lane in self.ingest.lanes.items()
        }
        self.pulse.tell(self.raw.assignment.known, lag, {"next_raw": lanes})
        if self.raw.assignment.waited_s > SILENT_GROUP_S and not self._reach.away:
            raise NotRunningError(
                f"Kafka answers, but its consumer group has given this worker no partitions for"
                f" {SILENT_GROUP_S:.0f} s: it joins again"
            )


def main() -> int:
    """Run until SIGTERM or SIGINT; of `twinstream.mesh.exit_codes` otherwise, with one line that says what."""
    logger = log.configure("ingest")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        settings, knobs = MeshSettings.from_env(), IngestSettings.from_env()
        process = Process(settings, knobs, pipeline_file.load(settings.pipeline), stopping)
        logger.info(
            "started", kafka=settings.kafka, clock=settings.clock, partitions=settings.partitions
        )
        process.run(stopping)
    except MeshError as error:
        logger.error("stopped", reason=str(error))  # noqa: TRY400  (a mistake of the user or of a broker: no stack trace)
        return exit_code(error)
    except Exception:
        logger.exception("failed")
        return 1
    logger.info("ended")
    return 0


if __name__ == "__main__":
    sys.exit(main())
