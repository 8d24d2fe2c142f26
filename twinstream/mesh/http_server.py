"""Serves an application by granian's worker processes; this one beats with what they say."""

from __future__ import annotations

import http.client
import json
import os
import threading
from collections.abc import Callable

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server

from twinstream.mesh.heartbeat import BEAT_S, Vitals
from twinstream.mesh.process import Process
from twinstream.mesh.service import Own
from twinstream.mesh.wsgi_loader import made

ASK_S = 2.0


def serve(
    process: Process[Own],
    target: str,
    port: int,
    *,
    workers: int = 1,
    respawn: bool = False,
) -> None:
    """Serve what `target` (module:function) makes in each worker, until told to stop.

    With `respawn` a worker that ended is replaced; without, this process ends with it.
    """
    host = process.settings.http_host
    server = _server(target, host, port, workers, respawn=respawn)
    vitals = _vitals_of(host, port)
    server.on_startup(lambda: process.beats(vitals, first_s=BEAT_S))
    process.log.info("listening", address=f"http://{host}:{port}", workers=workers)
    server.serve(target_loader=made)
    process.stopping.set()


def _vitals_of(host: str, port: int) -> Callable[[], Vitals]:
    """Asks the server, but not while it forks."""
    asking = _not_while_forking()

    def vitals() -> Vitals:
        with asking:
            return asked(host, port)

    return vitals


def _server(
    target: str,
    host: str,
    port: int,
    workers: int,
    *,
    respawn: bool,
) -> Server:
    return Server(
        target,
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        workers=workers,
        backlog=1024,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=5_000),
        respawn_failed_workers=respawn,
        respawn_interval=0.2,
        workers_kill_timeout=3,
        log_level=LogLevels.warning,
        websockets=False,
    )


def _not_while_forking() -> threading.Lock:
    """What holds it is not in the middle of its work in a fork. A worker that got a copy of a
    connection to itself never answered.
    """
    lock = threading.Lock()
    os.register_at_fork(
        before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
    )
    return lock


def asked(host: str, port: int) -> Vitals:
    """What `/readyz` answers: one that does not answer is not ready."""
    connection = http.client.HTTPConnection(host, port, timeout=ASK_S)
    try:
        return _said(connection)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return False, None, {"reason": f"does not answer: {error}"}
    finally:
        connection.close()


def _said(connection: http.client.HTTPConnection) -> Vitals:
    connection.request("GET", "/readyz")
    response = connection.getresponse()
    return response.status == http.HTTPStatus.OK, None, json.loads(response.read())
