"""Starts ingest over HTTP: `python -m ingest_svc.http_api`."""

from __future__ import annotations

from ingest_svc.http_api.service import SERVICE
from ingest_svc.settings import IngestSettings
from twinstream.mesh import http_server, process, topics_admin
from twinstream.mesh.process import Process


def run(process: Process[IngestSettings]) -> None:
    """Serve from one worker process."""
    topics_admin.ensure(process.settings, process.pipeline)
    http_server.serve(process, "ingest_svc.http_api.wsgi:make", process.settings.ingest_port)


if __name__ == "__main__":
    process.run(SERVICE, run)
