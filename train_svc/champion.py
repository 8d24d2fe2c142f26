"""A new model beside the promoted one, on the same test rows."""

from __future__ import annotations

import numpy as np
import structlog

from schemas.events import ModelPromoted, ModelTrained
from train_svc import evaluation
from train_svc.backlog import Judgement
from train_svc.evidence import ONE_ANSWER, Evidence, Losses, paired
from train_svc.ports import Ports, TrainingSet
from train_svc.rows import rows_of, split_rows
from train_svc.scores import constant, row_losses
from twinstream.errors import TransientError
from twinstream.features.arrays import numbers
from twinstream.protocol.training_columns import LABEL

log = structlog.get_logger()


def evidence_of(
    work: Judgement,
    ports: Ports,
) -> Evidence | None:
    """The new model beside the promoted one on the new test rows, beside one answer for all of
    them when that cannot be compared; None when there is no promoted model.
    """
    if work.champion is None:
        return None
    data: TrainingSet = ports.training_sets.read(work.training_set)
    theirs = losses_of_champion(work.champion, data, ports)
    ours = losses_of(work.trained, data, ports)
    if theirs is None:
        loss = ports.pipeline.model(work.trained.model).loss
        return paired(ours, losses_of_one_answer(data, loss), ONE_ANSWER)
    return paired(ours, theirs)


def losses_of_one_answer(
    data: TrainingSet,
    loss: str,
) -> Losses:
    """float64[n] for the test rows: of the best one answer for the training rows."""
    label = numbers(data.table.column(LABEL))
    train, _, test = (
        label[part.start : part.stop] for part in split_rows(data.table, data.statistics)
    )
    return row_losses(test, np.full(len(test), constant(train, loss)), loss)


def losses_of_champion(
    champion: ModelPromoted,
    data: TrainingSet,
    ports: Ports,
) -> Losses | None:
    """None when it cannot answer, whatever it is, or was made for another definition."""
    if champion.definition_digest != ports.pipeline.digest:
        return None
    try:
        return losses_of(champion, data, ports)
    except TransientError:
        raise
    except Exception as error:  # noqa: BLE001
        log.warning(
            "champion_not_compared",
            model=champion.model,
            digest=champion.model_digest[:12],
            reason=str(error)[:500],
        )
        return None


def losses_of(
    model: ModelTrained | ModelPromoted,
    data: TrainingSet,
    ports: Ports,
) -> Losses:
    """float64[n]: a model's loss on each test row."""
    loaded = ports.models.load(model, ports.pipeline.model(model.model).network)
    test = split_rows(data.table, data.statistics).test
    config = loaded.config
    rows = rows_of(data.table.slice(test.start, len(test)), config.inputs, config.statistics)
    given = evaluation.answers(loaded.network, rows, config.loss, config.target)
    return row_losses(rows.label.numpy(), given, ports.pipeline.model(model.model).loss)
