"""Everything real of the monitor, put together."""

from __future__ import annotations

from monitor_svc.adapters.granian_page import PageServer
from monitor_svc.adapters.heartbeat_folder import HeartbeatFolder
from monitor_svc.board import Board
from monitor_svc.reading import Streams, streams_of
from monitor_svc.run import Run
from monitor_svc.settings import MonitorSettings
from monitor_svc.state import State
from twinstream.mesh import collecting
from twinstream.mesh.events import EventPublisher
from twinstream.mesh.process import Process


def run(process: Process[MonitorSettings]) -> None:
    """Watch the mesh until told to stop."""
    state = State(process.pipeline, process.settings, process.own)
    board = page_state(process, state)
    streams = streams_of(state, process.clock.now_us())
    publisher, page = EventPublisher(process.settings, "/monitor_svc"), _served(process, board)
    collecting.rarely()
    try:
        _made(process, state, streams, board, publisher).until(process.stopping)
    finally:
        page.close()
        publisher.flush(2.0)
        for topics in streams.all():
            topics.close()


def page_state(
    process: Process[MonitorSettings],
    state: State,
) -> Board:
    """What the page shows."""
    heartbeats = HeartbeatFolder(process.settings.run_folder())
    return Board(
        state,
        heartbeats,
        process.clock,
        away=lambda: process.reach.away,
    )


def _served(
    process: Process[MonitorSettings],
    board: Board,
) -> PageServer:
    """The page, in a thread."""
    mesh, count = process.settings, process.metrics.count
    page = PageServer(
        board,
        mesh.http_host,
        mesh.monitor_port,
        hosts=mesh.http_hosts,
        count=count,
    )
    process.log.info(
        "page_served",
        host=mesh.http_host,
        port=page.port,
    )
    return page


def _made(
    process: Process[MonitorSettings],
    state: State,
    streams: Streams,
    board: Board,
    publisher: EventPublisher,
) -> Run:
    """The loop on its ports."""
    return Run(
        state,
        streams,
        board,
        process.clock,
        publisher=publisher,
        metrics=process.metrics,
        quarantine=process.quarantine(publisher),
        pulse=process.pulse(),
    )
