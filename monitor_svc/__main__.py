"""Starts the service: settings, adapters, run."""

from __future__ import annotations

import signal
import sys
import threading

import structlog

from monitor_svc import service
from monitor_svc.adapters.granian_page import PageServer
from monitor_svc.adapters.heartbeat_folder import HeartbeatFolder
from monitor_svc.adapters.kafka_topics import Topics
from monitor_svc.board import Board
from monitor_svc.run import Run, Streams
from monitor_svc.settings import MonitorSettings
from monitor_svc.state import State
from monitor_svc.telemetry import SECOND_US
from twinstream.define.pipeline import Pipeline
from twinstream.errors import MeshError
from twinstream.mesh import log, pipeline_file
from twinstream.mesh.clock import WallClock
from twinstream.mesh.dead_letters import DeadLetters
from twinstream.mesh.events import EventPublisher
from twinstream.mesh.exit_codes import exit_code
from twinstream.mesh.heartbeat import BackgroundBeat, Heartbeat
from twinstream.mesh.kafka.reach import watched
from twinstream.mesh.metrics import Metrics
from twinstream.mesh.quarantine import Quarantine
from twinstream.mesh.settings import MeshSettings

DAY_US = 86_400 * SECOND_US


def main() -> int:
    """Run until SIGTERM; returns the exit code."""
    log.configure("monitor")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        mesh = MeshSettings.from_env()
        run(mesh, MonitorSettings.from_env(), pipeline_file.load(mesh.pipeline), stopping)
    except MeshError as error:
        structlog.get_logger().error("stopped", reason=str(error))
        return exit_code(error)
    return 0


def run(
    mesh: MeshSettings, knobs: MonitorSettings, pipeline: Pipeline, stopping: threading.Event
) -> None:
    """Everything real, wired; returns once `stopping` is set."""
    clock = WallClock()
    state = State(pipeline, mesh, knobs)
    reach = watched(mesh)
    board = Board(state, HeartbeatFolder(mesh.run_folder()), clock, away=lambda: reach.away)
    streams = open_streams(mesh, knobs, pipeline, clock.now_us())
    publisher, metrics = EventPublisher(mesh, "/monitor_svc"), Metrics(mesh, "monitor")
    page = PageServer(
        board, mesh.http_host, mesh.monitor_port, hosts=mesh.http_hosts, count=metrics.count
    )
    structlog.get_logger().info("page_served", host=mesh.http_host, port=page.port)
    heartbeat = Heartbeat(mesh, "monitor", away=lambda: reach.away)
    loop = Run(
        state,
        streams,
        board,
        clock,
        publisher=publisher,
        metrics=metrics,
        quarantine=Quarantine(mesh, "monitor", DeadLetters(mesh, "monitor", publisher), metrics),
        pulse=BackgroundBeat(heartbeat).run_until(stopping),
    )
    try:
        loop.until(stopping)
    finally:
        page.close()
        metrics.close()
        publisher.flush(2.0)
        for topics in streams.all():
            topics.close()


def open_streams(
    mesh: MeshSettings, knobs: MonitorSettings, pipeline: Pipeline, now_us: int
) -> Streams:
    """Readers of all topics, each from where its past still matters."""
    back_us = None if mesh.clock == "replay" else now_us - round(knobs.lookback_days * DAY_US)
    return Streams(
        facts=Topics(mesh, service.FACTS),
        metrics=Topics(mesh, [service.METRICS], now_us - knobs.history_s * SECOND_US),
        dead_letters=Topics(mesh, service.DEAD_LETTERS, back_us),
        predictions=Topics(mesh, [service.PREDICTIONS], back_us),
        labels=Topics(mesh, service.label_topics(pipeline), back_us),
    )


if __name__ == "__main__":
    sys.exit(main())
