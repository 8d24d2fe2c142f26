"""The page and its data as a Flask application."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, Response, send_from_directory

from monitor_svc.board import Board

PAGE = Path(__file__).parents[1] / "page"
POLICY = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'"


def make_app(board: Board) -> Flask:
    """The WSGI app over a board, all but the stream."""
    app = Flask("monitor", static_folder=None)

    @app.get("/")
    def page() -> Response:
        return send_from_directory(PAGE, "index.html")

    @app.get("/page/<path:name>")
    def file(name: str) -> Response:
        return send_from_directory(PAGE, name)

    @app.get("/v1/state")
    def state() -> Response:
        return Response(board.whole(), mimetype="application/json")

    @app.get("/v1/stream")
    def stream() -> Response:
        """What a listener gets for whom there is no room."""
        text = '{"error": "too many listeners: poll /v1/state instead"}'
        return Response(text, 503, {"Retry-After": "5"}, mimetype="application/json")

    @app.get("/livez")
    def livez() -> Response:
        return Response('{"live": true}', mimetype="application/json")

    @app.get("/readyz")
    def readyz() -> Response:
        text = '{"ready": true}' if board.ready else '{"ready": false}'
        return Response(text, 200 if board.ready else 503, mimetype="application/json")

    @app.after_request
    def headers(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers.setdefault("Cache-Control", "no-cache")
        return response

    return app
