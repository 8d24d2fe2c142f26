"""Starts the predictor: granian as the server, one or more workers, each with its own application."""

from __future__ import annotations

import http.client
import json
import sys
import threading

import structlog
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server

from predict_svc.api.settings import PredictSettings
from twinstream.errors import MeshError
from twinstream.mesh import log
from twinstream.mesh.heartbeat import Heartbeat
from twinstream.mesh.settings import MeshSettings
from twinstream.mesh.wsgi_loader import made


def main() -> None:
    """Runs until SIGTERM."""
    settings, own = MeshSettings.from_env(), PredictSettings.from_env()
    log.configure("predict")
    heartbeat = Heartbeat(settings, "predict")
    heartbeat.beat(ready=False)
    server = Server(
        "predict_svc.api.process:create",
        factory=True,
        address=settings.http_host,
        port=settings.predict_port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        workers=own.workers,
        http1_settings=HTTP1Settings(header_read_timeout=5_000),
        respawn_failed_workers=True,
        respawn_interval=0.2,
        workers_kill_timeout=4,
        log_level=LogLevels.warning,
        websockets=False,
    )
    stop = threading.Event()
    server.on_startup(
        lambda: threading.Thread(
            target=beat, args=(heartbeat, settings, stop), name="heartbeat", daemon=True
        ).start()
    )
    server.on_shutdown(stop.set)
    structlog.get_logger().info(
        "listening",
        address=f"http://{settings.http_host}:{settings.predict_port}",
        workers=own.workers,
    )
    server.serve(target_loader=made)


def beat(heartbeat: Heartbeat, settings: MeshSettings, stop: threading.Event) -> None:
    """Beats with what the workers say over HTTP: a predictor that does not answer is not ready."""
    while not stop.wait(1.0):
        ready, detail = asked(settings)
        heartbeat.beat(ready=ready, detail=detail)


def asked(settings: MeshSettings) -> tuple[bool, dict[str, object]]:
    """(ready, detail) as `/readyz` answers."""
    connection = http.client.HTTPConnection(settings.http_host, settings.predict_port, timeout=2.0)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        return response.status == 200, json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        return False, {"reason": f"does not answer: {error}"}
    finally:
        connection.close()


if __name__ == "__main__":
    try:
        main()
    except MeshError as error:
        sys.exit(f"predict: {error}")
