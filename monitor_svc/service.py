"""The monitor as data: what it reads, which handler takes it, what it writes. Open this first."""

from __future__ import annotations

from monitor_svc import handlers
from monitor_svc.settings import MonitorSettings
from schemas import events as ev
from schemas.topics import SERVICES, dead_letter, records_accepted
from twinstream.mesh.service import SOURCE, Service

SERVICE = Service(
    name="monitor",
    writer="monitor",
    settings=MonitorSettings,
    consumes={
        ev.MetricObserved: handlers.handle_metric_observed,
        ev.PredictionServed: handlers.handle_prediction_served,
        ev.FileAccepted: handlers.handle_file_accepted,
        ev.ViewPublished: handlers.handle_view_published,
        ev.TrainingSetPublished: handlers.handle_training_set_published,
        ev.ModelTrained: handlers.handle_model_trained,
        ev.ModelPromoted: handlers.handle_model_promoted,
        ev.ModelRejected: handlers.handle_model_rejected,
        ev.ModelRolledBack: handlers.handle_model_rolled_back,
        ev.ModelHeld: handlers.handle_model_held,
        ev.ShadowChosen: handlers.handle_shadow_chosen,
        ev.CanaryChosen: handlers.handle_canary_chosen,
        ev.DriftDetected: handlers.handle_drift_detected,
        ev.RetrainRequested: handlers.handle_retrain_requested,
        records_accepted(SOURCE): handlers.handle_log_message,
        **{dead_letter(service): handlers.handle_dead_letter for service in SERVICES},
    },
    produces=(
        ev.DriftDetected,
        ev.RetrainRequested,
        ev.MetricObserved,
        dead_letter("monitor"),
    ),
    state="in memory, rebuilt from the topics at every start",
)
