"""Problems as Flask answers them."""

from __future__ import annotations

from flask import Response
from werkzeug.exceptions import HTTPException

from twinstream.mesh.problems import NOWHERE, Place, problem_body, problem_of


def problem_response(
    detail: str,
    status: int,
    place: Place = NOWHERE,
) -> Response:
    """The answer to a request that is refused."""
    headers, body = problem_body(problem_of(detail, status, place))
    return Response(body, status, headers=headers)


def refused_by_flask(error: HTTPException) -> Response:
    """The answer to what Flask itself refuses: no such path, or not by this method."""
    answer = problem_response(error.description or error.name, error.code or 500)
    for name, value in error.get_headers():
        if name.lower() == "allow":
            answer.headers[name] = value
    return answer
