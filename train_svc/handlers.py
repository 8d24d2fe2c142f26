"""What happens when there is a training set, and when there is a trained model. Returns events, publishes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import torch

from schemas.events import Event, ModelPromoted, ModelRejected, ModelTrained
from train_svc import search, training
from train_svc.backlog import UNTRAINED, Judgement, Training
from train_svc.ports import Ports, Problem, TrainingSet
from train_svc.promotion import judge
from train_svc.search import Found
from train_svc.settings import TrainSettings
from train_svc.training import Split, TrainingConfig, TrainingImpossibleError
from twinstream.features.inputs import Inputs
from twinstream.nn.digest import ModelCorruptError, model_digest, qualified_name
from twinstream.nn.files import BINARY, ModelConfig, to_files, versions

MEASURE = {BINARY: "log_loss", "mean_squared_error": "rmse", "mean_absolute_error": "mae"}
"""The test metric by which a new model is compared with the promoted one, by loss."""


def handle_training_set_published(work: Training, ports: Ports) -> list[Event]:
    """ModelTrained, its files saved; or ModelRejected when nothing can be learned from the set."""
    started_us = ports.clock.now_us()
    event = work.training_set
    model = ports.pipeline.model(event.model)
    data = ports.training_sets.read(event)
    inputs = Inputs.of(model.inputs)
    config = config_of(model, ports.settings, ports.settings.seed + work.round)
    try:
        split = training.split_of(data.table, inputs, data.statistics)
        training.check(split, config)
    except TrainingImpossibleError as error:
        return [_untrained(event.model, event.digest, str(error), ports)]
    problem = Problem(split, inputs, data.statistics, config, model.network)
    found, share = choose(problem, model.search, ports)
    chosen = config.changed(found.best)
    network, metrics = training.fit_split(split, inputs, data.statistics, chosen, network_class=model.network)
    metrics |= {"search_share": share, "search_trials": float(len(found.tried))}
    made_with = ModelConfig(
        model=model.name, network=qualified_name(model.network), arguments=chosen.arguments, inputs=inputs, statistics=data.statistics,
        definition_digest=ports.pipeline.digest, loss=model.loss, training_set_digest=event.digest, epoch=event.epoch,
        training=_remembered(chosen, found), versions=versions(),
    )  # fmt: skip
    files = to_files(network, made_with, metrics)
    digest = model_digest(files)
    stored = ports.models.save(model.name, digest, files)
    return [ModelTrained(
        model=model.name, model_digest=digest, uri=stored.uri, version_ids=stored.version_ids, epoch=event.epoch,
        training_set_digest=event.digest, definition_digest=ports.pipeline.digest, metrics=metrics, trained_at_us=ports.clock.now_us(),
        seconds=(ports.clock.now_us() - started_us) / 1e6,
    )]  # fmt: skip


def handle_model_trained(work: Judgement, ports: Ports) -> list[Event]:
    """ModelPromoted or ModelRejected, by `good_enough` and against the promoted model on the same test rows."""
    trained = work.trained
    model = ports.pipeline.model(trained.model)
    verdict = judge(trained.metrics, model.good_enough, champion_metrics(work, ports), MEASURE[model.loss], ports.settings.tolerance)
    now_us = ports.clock.now_us()
    if not verdict.promoted:
        return [ModelRejected(
            model=trained.model, model_digest=trained.model_digest, reason=verdict.reason, metrics=trained.metrics, rejected_at_us=now_us)]
    return [ModelPromoted(
        model=trained.model, model_digest=trained.model_digest, uri=trained.uri, version_ids=trained.version_ids,
        definition_digest=trained.definition_digest, metrics=trained.metrics, reason=verdict.reason, promoted_at_us=now_us,
    )]  # fmt: skip


def choose(problem: Problem, space: Mapping[str, Any], ports: Ports) -> tuple[Found, float]:
    """The best candidate of the model's search space, and the share of rows that was looked at."""
    settings = ports.settings
    tried = search.candidates(space, settings.candidates, problem.config.seed)
    if len(tried) == 1:
        return Found(tried[0], [], search.IN_PROCESS), 0.0
    share = search.share_of_rows(len(problem.split.train), settings)
    looked_at = thinned(problem.split, share, problem.config.seed)
    config = msgspec.structs.replace(problem.config, max_epochs=settings.search_epochs, threads=1)
    tuner = ports.tuners[search.tuner_for(len(problem.split.train), len(tried), settings)]
    return tuner.search(msgspec.structs.replace(problem, split=looked_at, config=config), tried), share


def champion_metrics(work: Judgement, ports: Ports) -> dict[str, float] | None:
    """Scores of the promoted model on the new test rows; None when there is none that can be compared."""
    champion = work.champion
    if champion is None or champion.definition_digest != ports.pipeline.digest:
        return None
    try:
        loaded = ports.models.load(champion, ports.pipeline.model(champion.model).network)
    except ModelCorruptError:
        return None
    data: TrainingSet = ports.training_sets.read(work.training_set)
    test = data.table.slice(training.bounds(data.table, data.statistics)[1])
    rows = training.rows_of(test, loaded.config.inputs, loaded.config.statistics)
    return training.scored(loaded.network, rows, loaded.config.loss)


def config_of(model: Any, settings: TrainSettings, seed: int) -> TrainingConfig:
    """How the final fit of a model is trained, before a search's choice."""
    return TrainingConfig(
        loss=model.loss, batch_size=settings.batch_size, max_epochs=settings.max_epochs, patience=settings.patience, threads=settings.threads,
        seed=seed)


def thinned(split: Split, share: float, seed: int) -> Split:
    """A random share of the training and validation rows, the same for the same seed; in order of time."""
    generator = torch.Generator().manual_seed(seed)

    def some(rows: Any) -> Any:
        count = max(1, round(len(rows) * share))
        return rows.take(torch.randperm(len(rows), generator=generator)[:count].sort().values) if count < len(rows) else rows

    return Split(some(split.train), some(split.validation), some(split.test))


def _remembered(config: TrainingConfig, found: Found) -> dict[str, Any]:
    """How a model came about, as its config keeps it."""
    trials = [{"candidate": candidate, "validation_loss": loss, "epochs": epochs} for candidate, loss, epochs in found.tried]
    return {"config": msgspec.to_builtins(config), "tuner": found.tuner, "trials": trials}


def _untrained(model: str, training_set_digest: str, reason: str, ports: Ports) -> ModelRejected:
    return ModelRejected(
        model=model, model_digest=UNTRAINED + training_set_digest, reason=reason, metrics={}, rejected_at_us=ports.clock.now_us())
