"""A small HTTP service of which `test_http_server.py` sees how it runs and ends."""

from __future__ import annotations

import os

from flask import Flask

from tests.unit.mesh.process_child import Own
from twinstream.mesh import http_server, process
from twinstream.mesh.door import Door, DoorSettings, hosts_of
from twinstream.mesh.process import Process
from twinstream.mesh.service import Service

SERVICE = Service(name="door", writer="ingest", settings=Own, serves=True)


def make() -> Door:
    worker = process.worker(SERVICE)
    app = Flask("door")
    app.add_url_rule("/readyz", "readyz", lambda: {"worker": os.getpid(), "name": worker.name})
    settings = DoorSettings(hosts=hosts_of("127.0.0.1", ""), body_bytes=1000, body_s=1.0, slots=2)
    return Door(app, settings, lambda *_, **__: None)


def work(parent: Process[Own]) -> None:
    http_server.serve(parent, "tests.unit.mesh.http_child:make", parent.settings.predict_port)


if __name__ == "__main__":
    process.run(SERVICE, work)
