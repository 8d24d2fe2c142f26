"""Starts ingest over HTTP: `python -m ingest_svc.http_api`. Granian serves from one worker process; this one beats for it."""

from __future__ import annotations

import http.client
import sys
import threading

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server import Server

from ingest_svc.settings import IngestSettings
from twinstream.errors import MeshError
from twinstream.mesh import log, pipeline_file, topics_admin
from twinstream.mesh.exit_codes import exit_code
from twinstream.mesh.heartbeat import Heartbeat
from twinstream.mesh.kafka.reach import watched
from twinstream.mesh.settings import MeshSettings
from twinstream.mesh.wsgi_loader import made

BEAT_EVERY_S = 1.0


def main() -> int:
    """Serve until SIGTERM or SIGINT; 1 for a mistake of the user, with one line that says what."""
    logger = log.configure("ingest-http")
    try:
        settings = MeshSettings.from_env()
        IngestSettings.from_env()  # a wrong one is said before the server starts
        topics_admin.ensure(settings, pipeline_file.load(settings.pipeline))
    except MeshError as error:
        logger.error("stopped", reason=str(error))  # noqa: TRY400  (a mistake of the user: no stack trace)
        return exit_code(error)
    stopping = threading.Event()
    beats = threading.Thread(target=_beat, args=(settings, stopping), name="heartbeat", daemon=True)
    beats.start()
    logger.info("started", address=f"{settings.http_host}:{settings.ingest_port}")
    Server(
        "ingest_svc.http_api.wsgi:make",
        factory=True,
        address=settings.http_host,
        port=settings.ingest_port,
        interface=Interfaces.ASGINL,
        workers=1,
        backlog=1024,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=5_000),
        log_enabled=False,
        websockets=False,
        workers_kill_timeout=3,
    ).serve(target_loader=made)
    stopping.set()
    beats.join(2.0)
    logger.info("ended")
    return 0


def _beat(settings: MeshSettings, stopping: threading.Event) -> None:
    """Say once a second whether requests are served."""
    reach = watched(settings)
    heartbeat = Heartbeat(settings, "ingest-http", away=lambda: reach.away)
    while not stopping.wait(BEAT_EVERY_S):
        heartbeat.beat(_ready(settings.http_host, settings.ingest_port))
    heartbeat.beat(False)


def _ready(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=3.0)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (http.client.HTTPException, OSError):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
