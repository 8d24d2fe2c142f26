"""What this service knows, all of it in memory and rebuilt from the topics at a start."""

from __future__ import annotations

from collections import defaultdict

from monitor_svc.known_time import KnownTime
from monitor_svc.label_log import LabelLog
from monitor_svc.ledger import Ledger
from monitor_svc.repeats import Repeats
from monitor_svc.retraining import Debounce
from monitor_svc.settings import MonitorSettings
from monitor_svc.telemetry import SECOND_US, Telemetry
from monitor_svc.watch import ModelWatch
from schemas.plausible import LAST_US
from twinstream.define.pipeline import Pipeline
from twinstream.mesh.settings import MeshSettings


class State:
    """One per process; only the run loop changes it."""

    def __init__(
        self,
        pipeline: Pipeline,
        mesh: MeshSettings,
        knobs: MonitorSettings,
    ) -> None:
        self.pipeline, self.mesh, self.knobs = pipeline, mesh, knobs
        self.telemetry = Telemetry(knobs.history_s)
        self.ledger = Ledger(pipeline.digest)
        self.models = {model.name: ModelWatch(model, knobs) for model in pipeline.models}
        self.logs = _logs_of(pipeline)
        self.served = Repeats()
        self.known = KnownTime(mesh.clock)
        self.debounce = Debounce(round(knobs.retrain_quiet_s * SECOND_US))
        self.announced_us: dict[tuple[str, str, str], int] = {}
        self.unpublished_labels: dict[tuple[str, str], int] = defaultdict(int)
        self.caught_up = False
        self.now_us = LAST_US
        """The time as this service was last told; nothing that was announced is later."""

    def told(self, now_us: int) -> None:
        """It is now so late."""
        self.now_us = self.telemetry.now_us = now_us


def _logs_of(pipeline: Pipeline) -> dict[str, list[tuple[str, LabelLog]]]:
    """By source: the models whose labels come from it, each with its own reading of the log."""
    logs: dict[str, list[tuple[str, LabelLog]]] = defaultdict(list)
    for model in pipeline.models:
        logs[model.label.source.name].append((model.name, LabelLog(model)))
    return logs
