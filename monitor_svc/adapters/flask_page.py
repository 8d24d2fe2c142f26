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
        answer = problem_response("too many listeners", 503, Place(remedy="poll /v1/state instead"))
        answer.headers["Retry-After"] = "5"
        return answer

    @app.get("/livez")
    def livez() -> Response:
        return Response('{"live": true}', mimetype="application/json")

    @app.get("/readyz")
    def readyz() -> Response:
        text = '{"ready": true}' if board.ready else '{"ready": false}'
        return Response(text, 200 if board.ready else 503, mimetype="application/json")

    register_description(app, describe_monitor)
    app.register_error_handler(HTTPException, refused_by_flask)

    @app.after_request
    def headers(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers.setdefault("Cache-Control", "no-cache")
        return response

    return app
