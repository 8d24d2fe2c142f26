"""When the predictor counts as ready."""

from __future__ import annotations

from collections.abc import Mapping

from predict_svc.api.activation import Activation
from predict_svc.api.serving import Serving, ViewReads
from predict_svc.view.errors import ViewNotReadyError


def readiness(
    activation: Activation, serving: Serving, readers: Mapping[str, ViewReads], away: str
) -> tuple[bool, dict[str, object]]:
    """Ready when the lifecycle topic was read to its end, every view can be read and Kafka answers;
    a model is not needed for that.

    `away` says why Kafka does not: questions are answered all the same, from what the views hold,
    until too many events wait.
    """
    now = serving.now
    waiting = [name for name, reader in readers.items() if not _whole(reader, now.epochs.get(name))]
    detail: dict[str, object] = {
        "views_not_ready": waiting,
        "releases": {name: str(active.release) for name, active in now.active.items()},
        "reasons": now.reasons,
    }
    detail |= {"reason": away} if away else {}
    return activation.caught_up and not waiting and not away, detail


def _whole(reader: ViewReads, epoch: int | None) -> bool:
    try:
        reader.positions(epoch)
    except ViewNotReadyError:
        return False
    return True
