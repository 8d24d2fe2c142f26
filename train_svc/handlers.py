"""What happens when there is a training set, and when there is a trained model.
Returns events, publishes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import pyarrow as pa
import structlog
import torch

from schemas.events import Event, ModelPromoted, ModelRejected, ModelTrained
from train_svc import search, training
from train_svc.backlog import Judgement, Training
from train_svc.baselines import Baselines, fit_baselines, left_out_words
from train_svc.calibration import calibrated_unit
from train_svc.champion import evidence_of
from train_svc.choosing import choose
from train_svc.measuring import every_metric
from train_svc.ports import Ports, Problem, TrainingSet
from train_svc.promotion import Bounds, judge
from train_svc.rows import (
    Rows,
    Split,
    TrainingImpossibleError,
    split_of,
)
from train_svc.search import Found
from train_svc.settings import TrainSettings
from train_svc.training import TrainingConfig
from twinstream.errors import TrainingSetCorruptError
from twinstream.features.inputs import Inputs
from twinstream.nn.digest import model_digest, qualified_name
from twinstream.nn.files import (
    BINARY,
    ONNX,
    ModelConfig,
    config_format,
    to_files,
    versions,
    with_program,
)
from twinstream.nn.program import Batch
from twinstream.nn.target import Target
from twinstream.protocol.batch_shapes import SHAPES
from twinstream.protocol.succession import held_words

MEASURE = {BINARY: "log_loss", "mean_squared_error": "rmse", "mean_absolute_error": "mae"}
"""The test metric of a loss."""
log = structlog.get_logger()


class Fitted(msgspec.Struct, frozen=True, kw_only=True):
    """A trained network with its scores, and what its config keeps of how it came about.
    `program`: what ONNX Runtime serves; empty when the network has none.
    """

    network: torch.nn.Module
    made_with: ModelConfig
    metrics: dict[str, float]
    program: bytes = b""


def handle_training_set_published(
    work: Training,
    ports: Ports,
) -> list[Event]:
    """ModelTrained, its files saved.

    Raises PermanentError when nothing can be learned from the set.
    """
    started_us = ports.clock.now_us()
    problem = as_problem(work, ports)
    fitted = with_its_program(fit_best(problem, work, ports), problem.split.test)
    return [saved(fitted, work, ports, started_us)]


def as_problem(
    work: Training,
    ports: Ports,
) -> Problem:
    """The rows of a set and how its model is trained on them; raises PermanentError when they
    cannot be read, or nothing can be learned from them.
    """
    model = ports.pipeline.model(work.training_set.model)
    data = ports.training_sets.read(work.training_set)
    inputs = Inputs.of(model.inputs)
    split = parts_of(data, inputs)
    config = config_of(model, ports.settings, ports.settings.seed + work.round)
    training.check(split, config.changed(search.fixed(model.search)))
    return Problem(split, inputs, data.statistics, config, model.network)


def fit_best(
    problem: Problem,
    work: Training,
    ports: Ports,
) -> Fitted:
    """The network of the best candidate, trained on all rows."""
    found, share = choose(problem, work, ports)
    chosen = problem.config.changed(found.best)
    network, counts = training.fit_network(
        problem.split,
        problem.inputs,
        problem.statistics,
        chosen,
        network_class=problem.network,
    )
    unit = calibrated_unit(network, problem.split, chosen.loss)
    made_with = in_unit_of(remembered(problem, chosen, found, work, ports), unit)
    counts |= {"search_share": share, "search_trials": float(len(found.tried))}
    return with_scores(Fitted(network=network, made_with=made_with, metrics=counts), problem, ports)


def in_unit_of(
    made_with: ModelConfig,
    unit: Target,
) -> ModelConfig:
    """The config of a network that answers in a unit."""
    needed = config_format(made_with.loss, unit)
    return msgspec.structs.replace(made_with, target=unit, format=needed)


def with_scores(
    fitted: Fitted,
    problem: Problem,
    ports: Ports,
) -> Fitted:
    """With its scores and those of the baselines beside it, on the same test rows."""
    made_with = fitted.made_with
    beside = fit_baselines(problem, ports.baselines, ports.settings)
    scores = every_metric(fitted.network, problem, made_with.target, beside.answers)
    check_metrics(scores)
    return msgspec.structs.replace(
        fitted,
        made_with=with_reasons(made_with, beside),
        metrics=fitted.metrics | scores | beside.facts,
    )


def with_reasons(
    made_with: ModelConfig,
    beside: Baselines,
) -> ModelConfig:
    """The config that says why a baseline is missing; as it is when none is."""
    if not beside.reasons:
        return made_with
    training_ = made_with.training | {"baselines_left_out": beside.reasons}
    return msgspec.structs.replace(made_with, training=training_)


def remembered(
    problem: Problem,
    chosen: TrainingConfig,
    found: Found,
    work: Training,
    ports: Ports,
) -> ModelConfig:
    """What a model's config keeps of how it came about."""
    model = ports.pipeline.model(work.training_set.model)
    return ModelConfig(
        model=model.name,
        network=qualified_name(model.network),
        arguments=chosen.arguments,
        inputs=problem.inputs,
        statistics=problem.statistics,
        definition_digest=ports.pipeline.digest,
        loss=model.loss,
        training_set_digest=work.training_set.digest,
        epoch=work.training_set.epoch,
        training=_search(chosen, found),
        versions=versions(),
    )


def with_its_program(
    fitted: Fitted,
    unseen: Rows,
) -> Fitted:
    """With its program, compared with the network on rows that it was not trained on."""
    made_with, program = with_program(fitted.network, fitted.made_with, arrays_of(unseen))
    log.info("model_exported", runtime=made_with.runtime, reason=made_with.runtime_reason)
    return Fitted(
        network=fitted.network,
        made_with=made_with,
        metrics=fitted.metrics | {"served_by_program": float(made_with.runtime == ONNX)},
        program=program,
    )


def saved(
    fitted: Fitted,
    work: Training,
    ports: Ports,
    started_us: int,
) -> ModelTrained:
    """The event of a model whose files are in the object store."""
    made_with = fitted.made_with
    files = to_files(fitted.network, made_with, fitted.metrics, fitted.program)
    digest = model_digest(files)
    stored = ports.models.save(made_with.model, digest, files)
    now_us = ports.clock.now_us()
    return ModelTrained(
        model=made_with.model,
        model_digest=digest,
        uri=stored.uri,
        version_ids=stored.version_ids,
        epoch=work.training_set.epoch,
        training_set_digest=work.training_set.digest,
        definition_digest=made_with.definition_digest,
        metrics=fitted.metrics,
        trained_at_us=now_us,
        seconds=(now_us - started_us) / 1e6,
    )


def handle_model_trained(
    work: Judgement,
    ports: Ports,
) -> list[Event]:
    """ModelPromoted or ModelRejected, by `good_enough` and against the promoted model on the same
    test rows; while the model is held the verdict is told, and nothing is promoted.
    """
    trained = work.trained
    model = ports.pipeline.model(trained.model)
    own = ports.settings
    bounds = Bounds(measure=MEASURE[model.loss], margin=own.margin, least_rows=own.least_test_rows)
    verdict = judge(trained.metrics, model.good_enough, evidence_of(work, ports), bounds)
    now_us, reason = ports.clock.now_us(), verdict.reason + left_out_words(trained.metrics)
    if not verdict.promoted:
        return [rejected(trained, reason, now_us)]
    if work.held is not None:
        why = f"{held_words(work.held)}; else promoted: {reason}"
        return [rejected(trained, why, now_us)]
    ports.models.load(trained, model.network)  # what an event says of its files is only a claim
    return [promoted(trained, reason, now_us)]


def rejected(
    trained: ModelTrained,
    reason: str,
    now_us: int,
) -> ModelRejected:
    """The event of a model that is not served."""
    return ModelRejected(
        model=trained.model,
        model_digest=trained.model_digest,
        reason=reason,
        metrics=trained.metrics,
        rejected_at_us=now_us,
    )


def promoted(
    trained: ModelTrained,
    reason: str,
    now_us: int,
) -> ModelPromoted:
    """The event of a model that is served from now on."""
    return ModelPromoted(
        model=trained.model,
        model_digest=trained.model_digest,
        uri=trained.uri,
        version_ids=trained.version_ids,
        definition_digest=trained.definition_digest,
        metrics=trained.metrics,
        reason=f"{reason}; {served_by(trained.metrics)}",
        promoted_at_us=now_us,
    )


def parts_of(
    data: TrainingSet,
    inputs: Inputs,
) -> Split:
    """The rows of a set; raises TrainingSetCorruptError when it lacks what its model takes."""
    try:
        return split_of(data.table, inputs, data.statistics)
    except (LookupError, TypeError, ValueError, OverflowError, pa.ArrowException) as error:
        raise TrainingSetCorruptError(
            f"the training set does not fit its model: {error}: seal an epoch to build it again"
        ) from error


def served_by(
    metrics: Mapping[str, float],
) -> str:
    """What will run the model, in words."""
    if metrics.get("served_by_program"):
        return "served by ONNX Runtime"
    return "served by eager PyTorch, for it has no ONNX program: its config.json says why"


def arrays_of(rows: Rows) -> Batch:
    """The inputs of some rows as a program takes them."""
    some = rows.take(slice(None, SHAPES[-1]))
    return some.numeric.numpy(), some.categorical.numpy(), some.sequences.numpy()


def check_metrics(
    metrics: Mapping[str, float],
) -> None:
    """Raises TrainingImpossibleError: what is not finite can be neither compared nor published."""
    if bad := [name for name, value in metrics.items() if not math.isfinite(value)]:
        raise TrainingImpossibleError(
            f"{bad[0]} is {metrics[bad[0]]}: the network's answers are too large or not finite"
        )


def config_of(
    model: Any,
    settings: TrainSettings,
    seed: int,
) -> TrainingConfig:
    """How the final fit of a model is trained, before a search's choice."""
    return TrainingConfig(
        loss=model.loss,
        batch_size=settings.batch_size,
        max_epochs=settings.max_epochs,
        patience=settings.patience,
        threads=settings.threads,
        seed=seed,
    )


def _search(
    config: TrainingConfig,
    found: Found,
) -> dict[str, Any]:
    trials = [
        {"candidate": candidate, "validation_loss": loss, "epochs": epochs}
        for candidate, loss, epochs in found.tried
    ]
    return {"config": msgspec.to_builtins(config), "tuner": found.tuner, "trials": trials}
