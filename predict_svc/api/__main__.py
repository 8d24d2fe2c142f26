"""Starts the predictor: `python -m predict_svc.api`."""

from __future__ import annotations

from predict_svc.api.service import SERVICE
from predict_svc.api.settings import PredictSettings
from twinstream.mesh import http_server, process
from twinstream.mesh.process import Process


def run(process: Process[PredictSettings]) -> None:
    """Serve from one or more worker processes, each with its own application."""
    port, workers = process.settings.predict_port, process.own.workers
    made = "predict_svc.api.wiring:create"
    http_server.serve(process, made, port, workers=workers, respawn=True)


if __name__ == "__main__":
    process.run(SERVICE, run)
