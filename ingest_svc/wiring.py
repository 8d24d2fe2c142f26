"""Everything real of an ingest worker, put together."""

from __future__ import annotations

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
from ingest_svc.rounds import Rounds
from ingest_svc.settings import IngestSettings
from ingest_svc.validation import Screen
from ingest_svc.worker import Ingest, Ports, SourceSetup
from schemas.partials import STATE_BYTES
from twinstream.algebra.plan import ViewPlan
from twinstream.define.compiled import cells
from twinstream.define.pipeline import Pipeline
from twinstream.define.records import Decoder
from twinstream.mesh import collecting, topics_admin
from twinstream.mesh.dead_letters import DeadLetters
from twinstream.mesh.events import EventPublisher
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.process import Process

COLLECT_AFTER = 200_000
"""New objects after which Python looks for cycles among them: far more than the `pack_rows`
messages of a round, which have none.
"""
WRITES_AS = "/ingest_svc"
Decoders = dict[str, Decoder]


def run(process: Process[IngestSettings]) -> None:
    """Write the log until told to stop."""
    topics_admin.ensure(process.settings, process.pipeline)
    decoders = warm(process.pipeline)
    events = EventPublisher(process.settings, WRITES_AS)
    ingest = live(process, decoders, events)
    raw, arrivals = records(process, ingest), files(process, decoders, events)
    collecting.rarely(COLLECT_AFTER)
    arrivals.start()
    rounds = Rounds(ingest, raw, arrivals, metrics=process.metrics, away=lambda: process.reach.away)
    rounds.until(process.stopping, process.pulse())


def warm(pipeline: Pipeline) -> Decoders:
    """A decoder of each source. What is compiled or loaded on first use is so now, not while
    records wait.
    """
    id_table.warm_up()
    json_scan.warm_up()
    cells.warm_up()
    decoders = {source.name: _decoder(pipeline, source.name) for source in pipeline.sources}
    for decoder in decoders.values():
        decoder.json([b"{}"])  # 0.3 s, for Arrow
    return decoders


def _decoder(
    pipeline: Pipeline,
    name: str,
) -> Decoder:
    source = pipeline.source(name)
    return Decoder(source, [v.by for v in pipeline.views_of(name)], json_scan.scan_of(source))


def live(
    process: Process[IngestSettings],
    decoders: Decoders,
    events: EventPublisher,
) -> Ingest:
    """The lanes of this worker."""
    return Ingest(
        _ports(process, events),
        {name: setup(process, name, decoder) for name, decoder in decoders.items()},
        process.own,
        replay=process.settings.clock == "replay",
        stopping=process.stopping,
    )


def setup(
    process: Process[IngestSettings],
    name: str,
    decoder: Decoder,
) -> SourceSetup:
    """What the worker knows of a source."""
    screen = Screen(
        decoder,
        process.own.record_bytes,
    )
    schema = process.pipeline.source(name).pack_schema
    return SourceSetup(screen, schema, pack_rows(process.pipeline, name))


def pack_rows(
    pipeline: Pipeline,
    source: str,
) -> int:
    """Rows whose states, each of another key, fit a partial of every view of the source."""
    return STATE_BYTES // max(
        (ViewPlan(view).bytes_a_record for view in pipeline.views_of(source)), default=1
    )


def _ports(
    process: Process[IngestSettings],
    events: EventPublisher,
) -> Ports:
    """The outside world of the live part."""
    settings, own = process.settings, process.own
    sources = {source.name: source for source in process.pipeline.sources}
    publisher = EventPublisher(settings, WRITES_AS)
    return Ports(
        log=KafkaLog(settings, sources, own.confirm_s, process.stopping),
        tails=KafkaTails(KafkaTail(settings), sources, own),
        dead_letters=DeadLetters(settings, "ingest", publisher),
        events=events,
        seals=KafkaSeals(settings, process.quarantine(publisher).refuse),
        meter=process.metrics,
        clock=process.clock,
    )


def records(
    process: Process[IngestSettings],
    ingest: Ingest,
) -> KafkaRaw:
    """Raw records of the partitions that this worker is given."""
    return KafkaRaw(
        process.settings,
        process.own,
        f"ingest-{process.pipeline.name}",
        instance_of(process.settings.data, process.own.worker),
        [source.name for source in process.pipeline.sources],
        opened=ingest.open,
        closed=ingest.close,
        stopping=process.stopping,
    )


def files(
    process: Process[IngestSettings],
    decoders: Decoders,
    events: EventPublisher,
) -> FileArrivals:
    """Announced files, in a thread."""
    settings, own = process.settings, process.own
    return FileArrivals(
        settings,
        f"ingest-files-{process.pipeline.name}",
        decoders=decoders,
        objects=S3Objects(ObjectStore(settings)),
        allowed=Allowed(prefixes_of(own.file_prefixes, settings.raw_bucket), own.file_bytes),
        dead_letters=DeadLetters(settings, "ingest", EventPublisher(settings, WRITES_AS)),
        events=events,
        meter=process.metrics,
        clock=process.clock,
    )
