"""What each event means here: `handle_<event>(event, state) -> events`. Changes the state;
publishes and reads nothing.
"""

from __future__ import annotations

import msgspec

from monitor_svc.drift import Finding
from monitor_svc.label_rows import Outcome
from monitor_svc.ledger import DeadLetter
from monitor_svc.state import State
from monitor_svc.telemetry import SECOND_US
from monitor_svc.watch import ModelWatch
from schemas import events as ev
from twinstream.protocol.predictions import predictions_of

Events = list[ev.Event]
LONGEST = 500
MOST_ANNOUNCED = 10_000


def handle_metric_observed(event: ev.MetricObserved, state: State) -> Events:
    state.telemetry.take(event)
    return []


def handle_prediction_served(event: ev.PredictionServed, state: State) -> Events:
    """Join its rows, measure them; what a model answers that the definition no longer has is
    counted only. An event that comes again counts once.
    """
    if not state.served.is_new(event):
        return []
    wall, watch = state.mesh.clock == "wall", state.models.get(event.model)
    for prediction in predictions_of(event):
        state.telemetry.count("predictions", prediction.served_at_us)
        known_us = prediction.served_at_us if wall else prediction.at_us
        state.known.predicted(known_us)
        if watch is not None:
            _count(state, watch.predicted(prediction, known_us))
    return []


def handle_log_message(
    source: str,
    partition: int,
    data: bytes,
    state: State,
) -> Events:
    """Join the label records of one log message; raises ValueError when the bytes are no log
    message.
    """
    for model, log in state.logs[source]:
        for row in log.rows(partition, data):
            _count(state, state.models[model].labelled(row))
        known = state.known.labels_us
        known[(source, partition)] = max(
            known.get((source, partition), log.known_us[partition]), log.known_us[partition]
        )
    return []


def handle_file_accepted(event: ev.FileAccepted, state: State) -> Events:
    """Labels in files are not read here: a question that they may answer gets no label."""
    for watch in state.models.values():
        watch.file_accepted(event.source)
    return []


def handle_view_published(event: ev.ViewPublished, state: State) -> Events:
    if event.view in {view.name for view in state.pipeline.views}:
        state.ledger.view_published(event)
        for watch in state.models.values():
            watch.epoch_landed(event.file_count, event.as_of_us)
    return []


def handle_training_set_published(event: ev.TrainingSetPublished, state: State) -> Events:
    if event.model in state.models:
        state.ledger.training_set_published(event)
    return []


def handle_model_trained(event: ev.ModelTrained, state: State) -> Events:
    what = f"trained on epoch {event.epoch} in {event.seconds:.0f} s"
    state.ledger.happened(
        "trained", what, event.trained_at_us, event.model, event.model_digest, metrics=event.metrics
    )
    return []


def handle_model_promoted(event: ev.ModelPromoted, state: State) -> Events:
    if event.model in state.models:
        state.ledger.promoted_now(event)
    return []


def handle_model_rejected(event: ev.ModelRejected, state: State) -> Events:
    state.ledger.happened(
        "rejected",
        event.reason,
        event.rejected_at_us,
        event.model,
        event.model_digest,
        metrics=event.metrics,
    )
    return []


def handle_model_rolled_back(event: ev.ModelRolledBack, state: State) -> Events:
    if event.model in state.models:
        state.ledger.rolled_back(event)
    return []


def handle_model_held(event: ev.ModelHeld, state: State) -> Events:
    if event.model in state.models:
        state.ledger.held(event)
    return []


def handle_shadow_chosen(event: ev.ShadowChosen, state: State) -> Events:
    if event.model in state.models:
        state.ledger.shadow_chosen(event)
    return []


def handle_canary_chosen(event: ev.CanaryChosen, state: State) -> Events:
    if event.model in state.models:
        state.ledger.canary_chosen(event)
    return []


def handle_drift_detected(event: ev.DriftDetected, state: State) -> Events:
    """Our own, read back: what was announced before a restart is not announced again."""
    if event.model in state.models:
        event = msgspec.structs.replace(
            event, series=event.series[:LONGEST], detector=event.detector[:LONGEST]
        )
        state.ledger.drift.append(event)
        _announce(state, (event.model, event.series, event.detector), event.detected_at_us)
    return []


def handle_retrain_requested(event: ev.RetrainRequested, state: State) -> Events:
    """Our own, read back, or anybody's who may write it: it quiets the next one."""
    if event.model in state.models:
        event = msgspec.structs.replace(event, reason=event.reason[:LONGEST])
        state.ledger.retrain.append(event)
        state.ledger.happened("retrain requested", event.reason, event.requested_at_us, event.model)
        at_us = min(event.requested_at_us, state.now_us)
        state.debounce.asked(event.model, at_us, *_trained_on(state, event.model))
    return []


def handle_dead_letter(dead_letters: DeadLetter, state: State) -> Events:
    state.ledger.put(dead_letters)
    return []


def advance(state: State, now_us: int) -> None:
    """Let known time go on: questions whose horizon has passed are labelled."""
    watermark_us = state.known.watermark_us(now_us)
    for watch in state.models.values():
        _count(state, watch.advance(watermark_us))


def judge(state: State, now_us: int) -> Events:
    """Drift to announce and training to ask for, as of now; nothing while the past is still being
    read.
    """
    if not state.caught_up:
        return []
    return [
        event
        for watch in state.models.values()
        for event in (*_drift(watch, state, now_us), *_retrain(watch, state, now_us))
    ]


def _drift(
    watch: ModelWatch,
    state: State,
    now_us: int,
) -> Events:
    quiet_us = round(state.knobs.drift_quiet_s * SECOND_US)
    found: Events = []
    for finding in watch.drift.take_drifted():
        key = (watch.model.name, finding.series, finding.detector)
        if now_us - state.announced_us.get(key, -quiet_us) >= quiet_us:
            _announce(state, key, now_us)
            found.append(_detected(watch.model.name, finding, now_us))
    return found


def _detected(
    model: str,
    finding: Finding,
    now_us: int,
) -> ev.DriftDetected:
    return ev.DriftDetected(
        model=model,
        series=finding.series,
        detector=finding.detector,
        statistic=finding.statistic,
        threshold=finding.threshold,
        detected_at_us=now_us,
    )


def _announce(
    state: State,
    key: tuple[str, str, str],
    at_us: int,
) -> None:
    """Note when a series was announced: never later than now, or it would be quiet for ever."""
    state.announced_us.pop(key, None)
    state.announced_us[key] = min(at_us, state.now_us)
    if len(state.announced_us) > MOST_ANNOUNCED:
        del state.announced_us[next(iter(state.announced_us))]


def _retrain(
    watch: ModelWatch,
    state: State,
    now_us: int,
) -> Events:
    name = watch.model.name
    if not state.debounce.allows(name, *_trained_on(state, name), now_us):
        return []
    reason = watch.reason_to_retrain()
    if reason is None:
        return []
    state.debounce.asked(name, now_us, *_trained_on(state, name))
    return [ev.RetrainRequested(model=name, reason=reason, requested_at_us=now_us)]


def _trained_on(state: State, model: str) -> tuple[str, str]:
    """Digests of the model that serves and of the newest training set."""
    newest = state.ledger.training_set.get(model)
    return state.models[
        model
    ].model_digest if model in state.models else "", newest.digest if newest else ""


def _count(state: State, outcomes: list[Outcome]) -> None:
    """Labels for the metric `monitor_labelled_total`, which tells of what happens now,
    not of what is read again.
    """
    if state.caught_up:
        for outcome in outcomes:
            state.unpublished_labels[(outcome.asked.model, outcome.how)] += 1
