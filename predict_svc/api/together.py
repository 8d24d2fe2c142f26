"""Small requests that come while another is answered are answered together: one read of the views,
one run of the network and one event for all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import accumulate

from predict_svc.api.messages import PredictBody
from twinstream.mesh.door import BUSY, Answer
from twinstream.mesh.problems import RefusedError

MOST_ROWS = 64
"""So many are answered in one turn of the event loop, in some milliseconds."""
MOST_WAITING = 256
"""So many requests wait at most; what comes beyond is shed."""
LOOKS = 4
"""Each costs some microseconds; with them several times as many requests come together."""
Waiting = tuple[PredictBody, "asyncio.Future[Answer]"]
AnswerAll = Callable[[str, Sequence[PredictBody]], list[Answer]]
"""The answers to requests for one model, in their order; raises nothing."""


class Together:
    """Belongs to one event loop. What has come when the loop is free is answered: nobody waits for
    a time. While requests come together, the first waits until the loop has looked a few times for
    others that have arrived already.
    """

    def __init__(self, answer_all: AnswerAll) -> None:
        self._answer_all = answer_all
        self._waiting: dict[str, list[Waiting]] = {}
        self._looks = 0

    def add(self, model: str, body: PredictBody) -> asyncio.Future[Answer]:
        """The answer to a request, when it is there; raises RefusedError while too many wait."""
        if self._full():
            raise RefusedError(503, *BUSY)
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._look, self._looks)
        answer: asyncio.Future[Answer] = loop.create_future()
        self._waiting.setdefault(model, []).append((body, answer))
        return answer

    def _full(self) -> bool:
        return sum(map(len, self._waiting.values())) >= MOST_WAITING

    def _look(self, more: int) -> None:
        """Let the loop take what has arrived, so many times more."""
        if more:
            asyncio.get_running_loop().call_soon(self._look, more - 1)
        else:
            self._turn()

    def _turn(self) -> None:
        """Answer what has come for the model that waits longest."""
        model = next(iter(self._waiting))
        waiting = self._waiting.pop(model)
        fits = _fitting(waiting)
        if later := waiting[fits:]:
            self._waiting[model] = later
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._turn)
        bodies = [body for body, _ in waiting[:fits]]
        self._looks = LOOKS if len(bodies) > 1 else 0
        found = self._answer_all(model, bodies)
        for (_, answer), given in zip(waiting, found, strict=False):
            if not answer.done():
                answer.set_result(given)


def _fitting(waiting: Sequence[Waiting]) -> int:
    """How many requests have at most `MOST_ROWS` rows together; at least one."""
    ends = accumulate(len(body.rows) for body, _ in waiting)
    return max(1, sum(end <= MOST_ROWS for end in ends))
