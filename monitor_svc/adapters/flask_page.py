"""The page and its data as a Flask application."""

from __future__ import annotations

from flask import Flask, Response, send_from_directory
from werkzeug.exceptions import HTTPException

from monitor_svc.adapters.operations import describe_monitor
from monitor_svc.adapters.page_files import PAGE, POLICY
from monitor_svc.board import Board
from twinstream.mesh.flask_problems import problem_response, refused_by_flask
from twinstream.mesh.openapi_routes import register_description
from twinstream.mesh.problems import Place


def make_app(board: Board) -> Flask:
    """The WSGI app over a board, all but the stream."""
    app = Flask("monitor", static_folder=None)
    _add_page(app)
    _add_state(app, board)
    _add_probes(app, board)
    register_description(app, describe_monitor)
    app.register_error_handler(HTTPException, refused_by_flask)
    app.after_request(_with_headers)
    return app


def _add_page(app: Flask) -> None:
    @app.get("/")
    def page() -> Response:
        return send_from_directory(PAGE, "index.html")

    @app.get("/page/<path:name>")
    def file(name: str) -> Response:
        return send_from_directory(PAGE, name)


def _add_state(app: Flask, board: Board) -> None:
    @app.get("/v1/state")
    def state() -> Response:
        return Response(board.whole(), mimetype="application/json")

    @app.get("/v1/stream")
    def stream() -> Response:
        """What a listener gets for whom there is no room."""
        answer = problem_response("too many listeners", 503, Place(remedy="poll /v1/state instead"))
        answer.headers["Retry-After"] = "5"
        return answer


def _add_probes(app: Flask, board: Board) -> None:
    @app.get("/livez")
    def livez() -> Response:
        return Response('{"live": true}', mimetype="application/json")

    @app.get("/readyz")
    def readyz() -> Response:
        text = '{"ready": true}' if board.ready else '{"ready": false}'
        return Response(text, 200 if board.ready else 503, mimetype="application/json")


def _with_headers(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Cache-Control", "no-cache")
    return response
