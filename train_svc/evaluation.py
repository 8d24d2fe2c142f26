"""What a network answers, and how good that is: by name, on the validation and on the test rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from train_svc import scores
from train_svc.rows import Rows, Split, TrainingImpossibleError
from twinstream.nn.files import BINARY
from twinstream.nn.target import Target, target_of
from twinstream.protocol.model_metrics import BOOSTING, CONSTANT, LINEAR, UNCALIBRATED, VALIDATION

LOSS_SCORES = ("log_loss", "rmse", "mae")
TOLD = {
    UNCALIBRATED: ("ece", "brier", "log_loss"),
    CONSTANT: LOSS_SCORES,
    LINEAR: ("auc", *LOSS_SCORES),
    BOOSTING: ("auc", *LOSS_SCORES),
}
"""By the prefix of answers, their scores that are told."""
Answers = NDArray[np.float64]
SCORING_ROWS = 8192


def outputs(
    network: nn.Module,
    rows: Rows,
) -> Tensor:
    """float32[n] of the network in evaluation mode."""
    network.eval()
    with torch.inference_mode():
        parts = (
            rows.take(slice(at, at + SCORING_ROWS)) for at in range(0, len(rows), SCORING_ROWS)
        )
        return torch.cat([answered(network, part) for part in parts])


def answered(
    network: nn.Module,
    rows: Rows,
) -> Tensor:
    """float32[n]; raises TrainingImpossibleError for another shape, which a loss may broadcast in
    silence.
    """
    given = network(rows.numeric, rows.categorical, rows.sequences)
    if not isinstance(given, Tensor) or given.shape != rows.label.shape:
        found = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
        raise TrainingImpossibleError(
            f"forward gives {found} for {len(rows)} rows: "
            "let it give one number per row, as squeeze(1) does"
        )
    return given


def unit_of(
    train: Rows,
    loss: str,
) -> Target:
    """The unit in which a network learns: that of its training labels, or logits."""
    return Target() if loss == BINARY else target_of(train.label.numpy())


def wanted(
    rows: Rows,
    target: Target,
) -> Tensor:
    """float32[n]: what a network should give for each row."""
    return ((rows.label - target.centre) / target.scale).float()


def answers(
    network: nn.Module,
    rows: Rows,
    loss: str,
    target: Target,
) -> Answers:
    """float64[n]: probabilities, or numbers in the label's own unit; raises TrainingImpossibleError
    for what is not finite.
    """
    return in_unit(finite_outputs(network, rows), loss, target).numpy()


def finite_outputs(network: nn.Module, rows: Rows) -> Tensor:
    """float64[n]: as `outputs`; raises TrainingImpossibleError for what is not finite."""
    given = outputs(network, rows).double()
    if not bool(torch.isfinite(given).all()):
        raise TrainingImpossibleError(
            f"an answer for {len(rows)} rows is not finite: "
            "the network's weights are too large, choose a lower learning_rate"
        )
    return given


def in_unit(
    given: Tensor,
    loss: str,
    target: Target,
) -> Tensor:
    """float64[n] of what was learned: probabilities, or numbers in the label's own unit."""
    found = target.centre + target.scale * given
    return torch.sigmoid(found) if loss == BINARY else found


def scores_of(
    label: Answers,
    given: Answers,
    loss: str,
) -> dict[str, float]:
    """Scores of answers."""
    if loss == BINARY:
        return scores.binary(label, given)
    return scores.numeric(label, given)


def constant_answers(
    split: Split,
    loss: str,
) -> Answers:
    """float64[n] for the test rows of who answers every row with the middle of the training
    labels.
    """
    return np.full(len(split.test), scores.constant(split.train.label.numpy(), loss))


def metrics(
    network: nn.Module,
    split: Split,
    loss: str,
    target: Target,
) -> dict[str, float]:
    """Test scores by plain name, validation scores with their prefix, and those of one answer for
    all rows.
    """
    given = {
        "": answers(network, split.test, loss, target),
        CONSTANT: constant_answers(split, loss),
    }
    test = told_scores(split.test.label.numpy(), given, loss)
    return test | validation_scores(network, split, loss, target)


def validation_scores(
    network: nn.Module,
    split: Split,
    loss: str,
    target: Target,
) -> dict[str, float]:
    """With their prefix."""
    given = answers(network, split.validation, loss, target)
    found = scores_of(split.validation.label.numpy(), given, loss)
    return {VALIDATION + name: value for name, value in found.items()}


def told_scores(
    label: Answers,
    given: Mapping[str, Answers],
    loss: str,
) -> dict[str, float]:
    """Scores of several answers for the same rows, by the prefix of each: all of those without a
    prefix, of the others what is told of them.
    """
    return {
        prefix + name: value
        for prefix, one in given.items()
        for name, value in scores_of(label, one, loss).items()
        if not prefix or name in TOLD[prefix]
    }
