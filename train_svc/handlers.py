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
from train_svc.ports import Ports, Problem, TrainingSet, TrainingSetCorruptError
from train_svc.promotion import judge
from train_svc.search import Found
from train_svc.settings import TrainSettings
from train_svc.training import Rows, Split, TrainingConfig, TrainingImpossibleError
from twinstream.define import Choice, Range
from twinstream.errors import MeshError, TransientError
from twinstream.features.inputs import Inputs
from twinstream.nn.digest import model_digest, qualified_name
from twinstream.nn.files import BINARY, ONNX, ModelConfig, to_files, versions, with_program
from twinstream.nn.program import Batch
from twinstream.protocol.batch_shapes import SHAPES

MEASURE = {BINARY: "log_loss", "mean_squared_error": "rmse", "mean_absolute_error": "mae"}
"""The test metric by which a new model is compared with the promoted one, by loss."""
log = structlog.get_logger()


def handle_training_set_published(work: Training, ports: Ports) -> list[Event]:
    """ModelTrained, its files saved.

    Raises PermanentError when nothing can be learned from the set.
    """
    started_us = ports.clock.now_us()
    event = work.training_set
    model = ports.pipeline.model(event.model)
    data = ports.training_sets.read(event)
    inputs = Inputs.of(model.inputs)
    config = config_of(model, ports.settings, ports.settings.seed + work.round)
    split = parts_of(data, inputs)
    training.check(
        split,
        config.changed(
            {n: v for n, v in model.search.items() if not isinstance(v, (Choice, Range))}
        ),
    )
    problem = Problem(split, inputs, data.statistics, config, model.network)
    found, share = choose(problem, model.search, ports)
    chosen = config.changed(found.best)
    network, metrics = training.fit_split(
        split, inputs, data.statistics, chosen, network_class=model.network
    )
    metrics |= {"search_share": share, "search_trials": float(len(found.tried))}
    check_metrics(metrics)
    made_with = ModelConfig(
        model=model.name,
        network=qualified_name(model.network),
        arguments=chosen.arguments,
        inputs=inputs,
        statistics=data.statistics,
        definition_digest=ports.pipeline.digest,
        loss=model.loss,
        training_set_digest=event.digest,
        epoch=event.epoch,
        training=_remembered(chosen, found),
        versions=versions(),
    )
    made_with, program = with_program(network, made_with, arrays_of(split.test))
    log.info("model_exported", runtime=made_with.runtime, reason=made_with.runtime_reason)
    metrics["served_by_program"] = float(made_with.runtime == ONNX)
    files = to_files(network, made_with, metrics, program)
    digest = model_digest(files)
    stored = ports.models.save(model.name, digest, files)
    return [
        ModelTrained(
            model=model.name,
            model_digest=digest,
            uri=stored.uri,
            version_ids=stored.version_ids,
            epoch=event.epoch,
            training_set_digest=event.digest,
            definition_digest=ports.pipeline.digest,
            metrics=metrics,
            trained_at_us=ports.clock.now_us(),
            seconds=(ports.clock.now_us() - started_us) / 1e6,
        )
    ]


def handle_model_trained(work: Judgement, ports: Ports) -> list[Event]:
    """ModelPromoted or ModelRejected, by `good_enough` and against the promoted model on the same
    test rows.
    """
    trained = work.trained
    model = ports.pipeline.model(trained.model)
    verdict = judge(
        trained.metrics,
        model.good_enough,
        champion_metrics(work, ports),
        MEASURE[model.loss],
        ports.settings.tolerance,
    )
    now_us = ports.clock.now_us()
    if not verdict.promoted:
        return [
            ModelRejected(
                model=trained.model,
                model_digest=trained.model_digest,
                reason=verdict.reason,
                metrics=trained.metrics,
                rejected_at_us=now_us,
            )
        ]
    return [
        ModelPromoted(
            model=trained.model,
            model_digest=trained.model_digest,
            uri=trained.uri,
            version_ids=trained.version_ids,
            definition_digest=trained.definition_digest,
            metrics=trained.metrics,
            reason=f"{verdict.reason}; {served_by(trained.metrics)}",
            promoted_at_us=now_us,
        )
    ]


def choose(problem: Problem, space: Mapping[str, Any], ports: Ports) -> tuple[Found, float]:
    """The best candidate of the model's search space, and the share of rows that was looked at."""
    settings = ports.settings
    tried = search.candidates(space, settings.candidates, problem.config.seed)
    if len(tried) == 1:
        return Found(tried[0], [], search.IN_PROCESS), 0.0
    share = search.share_of_rows(len(problem.split.train), settings)
    looked_at = thinned(problem.split, share, problem.config.seed)
    config = msgspec.structs.replace(problem.config, max_epochs=settings.search_epochs, threads=1)
    name = search.tuner_for(len(problem.split.train), len(tried), settings)
    return searched(
        name, msgspec.structs.replace(problem, split=looked_at, config=config), tried, ports
    ), share


def searched(name: str, problem: Problem, tried: list[search.Candidate], ports: Ports) -> Found:
    """What a tuner finds; when its engine falls, the search goes on in this process."""
    try:
        return ports.tuners[name].search(problem, tried)
    except MeshError:
        raise
    except Exception as error:
        if name == search.IN_PROCESS:
            raise
        log.warning("search_engine_failed", tuner=name, reason=str(error)[:500])
        return ports.tuners[search.IN_PROCESS].search(problem, tried)


def parts_of(data: TrainingSet, inputs: Inputs) -> Split:
    """The rows of a set; raises TrainingSetCorruptError when it lacks what its model takes."""
    try:
        return training.split_of(data.table, inputs, data.statistics)
    except (
        KeyError,
        LookupError,
        TypeError,
        ValueError,
        OverflowError,
        pa.ArrowException,
    ) as error:
        raise TrainingSetCorruptError(
            f"the training set does not fit its model: {error}: seal an epoch to build it again"
        ) from error


def served_by(metrics: Mapping[str, float]) -> str:
    """What will run the model, in words."""
    if metrics.get("served_by_program"):
        return "served by ONNX Runtime"
    return "served by eager PyTorch, for it has no ONNX program: its config.json says why"


def arrays_of(rows: Rows) -> Batch:
    """The inputs of some rows as a program takes them."""
    some = rows.take(slice(None, SHAPES[-1]))
    return some.numeric.numpy(), some.categorical.numpy(), some.sequences.numpy()


def check_metrics(metrics: Mapping[str, float]) -> None:
    """Raises TrainingImpossibleError: what is not finite can be neither compared nor published."""
    if bad := [name for name, value in metrics.items() if not math.isfinite(value)]:
        raise TrainingImpossibleError(
            f"{bad[0]} is {metrics[bad[0]]}: the network's answers are too large or not finite"
        )


def champion_metrics(work: Judgement, ports: Ports) -> dict[str, float] | None:
    """Scores of the promoted model on the new test rows; None when there is none that can be
    compared.
    """
    champion = work.champion
    if champion is None or champion.definition_digest != ports.pipeline.digest:
        return None
    data: TrainingSet = ports.training_sets.read(work.training_set)
    try:
        metrics = scores_of(champion, data, ports)
        check_metrics(metrics)
    except TransientError:
        raise
    except Exception as error:  # noqa: BLE001
        # whatever it is, a model that cannot answer is none to compare with
        log.warning(
            "champion_not_compared",
            model=champion.model,
            digest=champion.model_digest[:12],
            reason=str(error)[:500],
        )
        return None
    return metrics


def scores_of(champion: ModelPromoted, data: TrainingSet, ports: Ports) -> dict[str, float]:
    """Test metrics of a promoted model."""
    loaded = ports.models.load(champion, ports.pipeline.model(champion.model).network)
    test = data.table.slice(training.bounds(data.table, data.statistics)[1])
    rows = training.rows_of(test, loaded.config.inputs, loaded.config.statistics)
    return training.scored(loaded.network, rows, loaded.config.loss)


def config_of(model: Any, settings: TrainSettings, seed: int) -> TrainingConfig:
    """How the final fit of a model is trained, before a search's choice."""
    return TrainingConfig(
        loss=model.loss,
        batch_size=settings.batch_size,
        max_epochs=settings.max_epochs,
        patience=settings.patience,
        threads=settings.threads,
        seed=seed,
    )


def thinned(split: Split, share: float, seed: int) -> Split:
    """A random share of the training and validation rows, the same for the same seed;
    in order of time.
    """
    generator = torch.Generator().manual_seed(seed)

    def some(rows: Any) -> Any:
        count = max(1, round(len(rows) * share))
        return (
            rows.take(torch.randperm(len(rows), generator=generator)[:count].sort().values)
            if count < len(rows)
            else rows
        )

    return Split(some(split.train), some(split.validation), some(split.test))


def _remembered(config: TrainingConfig, found: Found) -> dict[str, Any]:
    """How a model came about, as its config keeps it."""
    trials = [
        {"candidate": candidate, "validation_loss": loss, "epochs": epochs}
        for candidate, loss, epochs in found.tried
    ]
    return {"config": msgspec.to_builtins(config), "tuner": found.tuner, "trials": trials}
