"""One network trained on one table, to be read from top to bottom.
Knows no search, no topic, no bucket.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from train_svc import scores
from train_svc.optimizer import AdamW
from train_svc.promotion import BASELINE
from twinstream.errors import PermanentError
from twinstream.features.arrays import codes, from_table, numbers, vocabularies
from twinstream.features.inputs import InputNames, Inputs
from twinstream.nn.files import BINARY
from twinstream.nn.tabular import TabularNetwork
from twinstream.nn.target import Target, target_of
from twinstream.protocol.training_columns import AT, LABEL
from twinstream.protocol.training_settings import TRAINING
from twinstream.protocol.training_split import Parts, parts_by_share, split_in

LOSSES: dict[str, Callable[[], nn.Module]] = {
    BINARY: nn.BCEWithLogitsLoss,
    "mean_squared_error": nn.MSELoss,
    "mean_absolute_error": nn.L1Loss,
}
COMPARED = ("log_loss", "rmse", "mae")
"""Scores that are told of the baseline too."""
SCORING_ROWS = 8192
LEAST_STEPS = 8
"""Of a pass over few rows; their batches are smaller."""


class TrainingImpossibleError(PermanentError, ValueError):
    """A training set from which nothing can be learned, or a network or config that cannot
    learn.
    """


class TrainingConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How one network is trained; `arguments` go to the network's class."""

    learning_rate: float = 2e-3
    """Peak of the one-cycle schedule."""
    weight_decay: float = 1e-2
    batch_size: int = 1024
    max_epochs: int = 12
    """Passes over the training rows; the schedule is laid out for all of them."""
    patience: int = 3
    """Passes without a better validation loss after which training stops."""
    loss: str = BINARY
    seed: int = 1
    threads: int = 0
    """Threads of one PyTorch operation; 0 leaves them as they are."""
    arguments: dict[str, Any] = {}

    def changed(self, candidate: Mapping[str, Any]) -> TrainingConfig:
        """The config with a search's choice: names of these settings change them, all others go to
        the network.
        """
        known = set(self.__struct_fields__) - {"arguments"}
        own = {name: value for name, value in candidate.items() if name in known}
        return msgspec.structs.replace(
            self,
            **own,
            arguments={**self.arguments, **{n: v for n, v in candidate.items() if n not in known}},
        )


class Rows(msgspec.Struct, frozen=True):
    """Rows as tensors: float64[n, N], int64[n, C], float64[n, S, K], and labels float64[n]."""

    numeric: Tensor
    categorical: Tensor
    sequences: Tensor
    label: Tensor

    def __len__(self) -> int:
        return len(self.label)

    def take(self, which: Any) -> Rows:
        """The rows of an index tensor or slice."""
        return Rows(
            self.numeric[which], self.categorical[which], self.sequences[which], self.label[which]
        )


class Split(msgspec.Struct, frozen=True):
    """Rows by time: train, then validation, then test."""

    train: Rows
    validation: Rows
    test: Rows


OnEpoch = Callable[[int, float], bool]
"""Called after each pass with its number and validation loss; True stops training."""


def fit(
    table: pa.Table,
    inputs: InputNames,
    statistics: Mapping[str, Any],
    config: TrainingConfig | None = None,
    *,
    network_class: Callable[..., Any] = TabularNetwork,
    on_epoch: OnEpoch | None = None,
) -> tuple[nn.Module, dict[str, float]]:
    """Trains on the first 70 % by time, stops early by the next 15 %, and scores the rest.

    Returns the network in evaluation mode and its metrics: test ones by their plain name (`auc`),
    others as `validation_auc`. Take a subset of the inputs to train a variant:
    `fit(table, Inputs.of(model.inputs).request_only(), statistics)`.
    """
    split = split_of(table, Inputs.of(inputs), statistics)
    return fit_split(
        split,
        Inputs.of(inputs),
        statistics,
        config or TrainingConfig(),
        network_class=network_class,
        on_epoch=on_epoch,
    )


def fit_split(
    split: Split,
    inputs: Inputs,
    statistics: Mapping[str, Any],
    config: TrainingConfig,
    *,
    network_class: Callable[..., Any] = TabularNetwork,
    on_epoch: OnEpoch | None = None,
) -> tuple[nn.Module, dict[str, float]]:
    """As `fit`, on rows that were split already."""
    check(split, config)
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    known = statistics if config.loss == BINARY else {**statistics, "label": {}}
    network: nn.Module = network_class(inputs, known, **config.arguments)
    target = unit_of(split.train, config.loss)
    passes = Passes(network, split, config, target)
    passes.run(on_epoch)
    counts = {
        "train_rows": float(len(split.train)),
        "epochs": float(passes.epoch),
        "best_epoch": float(passes.best_epoch),
    }
    return network.eval(), {**metrics(network, split, config.loss, target), **counts}


class Passes:
    """Passes over the training rows, until none of the last few was better on the validation
    rows.
    """

    def __init__(
        self, network: nn.Module, split: Split, config: TrainingConfig, target: Target
    ) -> None:
        self._network = network
        self._split = split
        self._config = config
        self._loss_of = LOSSES[config.loss]()
        self._wanted = wanted(split.train, target)
        self._validated = wanted(split.validation, target)
        self._size = min(config.batch_size, math.ceil(len(split.train) / LEAST_STEPS))
        steps = math.ceil(len(split.train) / self._size) * config.max_epochs
        self._optimizer = AdamW(
            network, peak=config.learning_rate, steps=steps, weight_decay=config.weight_decay
        )
        self.epoch = 0
        self.best_epoch = 0
        self._best_loss = math.inf
        self._best = copy.deepcopy(network.state_dict())

    def run(self, on_epoch: OnEpoch | None) -> None:
        """Leaves the network as it was after the best pass; raises TrainingImpossibleError when
        there is none.
        """
        for epoch in range(1, self._config.max_epochs + 1):
            self.epoch = epoch
            self._learn()
            loss = self._validate()
            told = on_epoch is not None and on_epoch(epoch, loss)
            if told or epoch - self.best_epoch >= self._config.patience:
                break
        if self.best_epoch == 0:
            raise TrainingImpossibleError(
                f"no pass of {self.epoch} gave a finite validation loss: "
                "choose a lower learning_rate"
            )
        self._network.load_state_dict(self._best)

    def _learn(self) -> None:
        """One pass over the training rows."""
        train = self._split.train
        self._network.train()
        for batch in torch.randperm(len(train)).split(self._size):
            given = answered(self._network, train.take(batch))
            self._optimizer.step(self._loss_of(given, self._wanted[batch]))

    def _validate(self) -> float:
        """The validation loss; the network is kept when it is the best."""
        given = outputs(self._network, self._split.validation)
        loss = float(self._loss_of(given, self._validated))
        if loss < self._best_loss:
            self._best_loss, self.best_epoch = loss, self.epoch
            self._best = copy.deepcopy(self._network.state_dict())
        return loss


def split_of(table: pa.Table, inputs: Inputs, statistics: Mapping[str, Any]) -> Split:
    """The table's rows, which are ordered by time, as train, validation and test;
    the statistics' bounds in time win over shares.
    """
    rows = rows_of(table, inputs, statistics)
    parts = split_rows(table, statistics)
    return Split(*(rows.take(slice(part.start, part.stop)) for part in parts))


def split_rows(table: pa.Table, statistics: Mapping[str, Any]) -> Parts:
    """The rows for training, for validation and for the test."""
    split = split_in(statistics)
    if AT not in table.column_names or split is None:
        return parts_by_share(table.num_rows)
    return split.parts(table.column(AT).to_numpy())


def rows_of(table: pa.Table, inputs: Inputs, statistics: Mapping[str, Any]) -> Rows:
    """All rows of a table as tensors."""
    features = from_table(table, inputs)
    categorical = codes(features.texts, vocabularies(inputs, statistics), len(features))
    label = numbers(table.column(LABEL)).copy()  # Arrow's own may not be written
    return Rows(
        torch.from_numpy(features.numeric),
        torch.from_numpy(categorical),
        torch.from_numpy(features.sequences),
        torch.from_numpy(label),
    )


def check(split: Split, config: TrainingConfig) -> None:
    """Raises TrainingImpossibleError for a config that cannot learn, for a part of the set that is
    empty, or has labels that teach nothing.
    """
    if problem := wrong(config):
        raise TrainingImpossibleError(problem)
    for name in ("train", "validation", "test"):
        label = getattr(split, name).label
        if len(label) == 0:
            raise TrainingImpossibleError(
                f"the {name} part of the training set is empty: more labelled rows are needed"
            )
        if bool(torch.isnan(label).any()):
            raise TrainingImpossibleError(
                f"the {name} part of the training set has rows without a label"
            )
        if not bool(torch.isfinite(label.float()).all()):
            raise TrainingImpossibleError(
                f"the {name} part of the training set has a label that is too large for a float32"
            )
        if config.loss == BINARY and bool((label == label[0]).all()):
            raise TrainingImpossibleError(
                f"all {len(label)} labels of the {name} part are {float(label[0]):g}: "
                "more rows are needed"
            )


def wrong(config: TrainingConfig) -> str:
    """What no training can use, "" when all is well; a search's choice may be of any type."""
    for name, bound in TRAINING.items():
        value = getattr(config, name)
        if not bound.takes(value):
            return f"{name} is {value!r}: give {bound}"
    return (
        "" if config.loss in LOSSES else f"loss is {config.loss!r}: give one of {', '.join(LOSSES)}"
    )


def outputs(network: nn.Module, rows: Rows) -> Tensor:
    """float32[n] of the network in evaluation mode."""
    network.eval()
    with torch.inference_mode():
        parts = (
            rows.take(slice(at, at + SCORING_ROWS)) for at in range(0, len(rows), SCORING_ROWS)
        )
        return torch.cat([answered(network, part) for part in parts])


def answered(network: nn.Module, rows: Rows) -> Tensor:
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


def unit_of(train: Rows, loss: str) -> Target:
    """The unit in which a network learns: that of its training labels, or logits."""
    return Target() if loss == BINARY else target_of(train.label.numpy())


def wanted(rows: Rows, target: Target) -> Tensor:
    """float32[n]: what a network should give for each row."""
    return ((rows.label - target.centre) / target.scale).float()


def answers(network: nn.Module, rows: Rows, loss: str, target: Target) -> NDArray[np.float64]:
    """float64[n]: probabilities, or numbers in the label's own unit; raises TrainingImpossibleError
    for what is not finite.
    """
    given = outputs(network, rows).double()
    if not bool(torch.isfinite(given).all()):
        raise TrainingImpossibleError(
            f"an answer for {len(rows)} rows is not finite: "
            "the network's weights are too large, choose a lower learning_rate"
        )
    if loss == BINARY:
        return torch.sigmoid(given).numpy()
    return (target.centre + target.scale * given).numpy()


def scored(network: nn.Module, rows: Rows, loss: str, target: Target) -> dict[str, float]:
    """Scores of a network on rows."""
    return scores_of(rows.label.numpy(), answers(network, rows, loss, target), loss)


def scores_of(
    label: NDArray[np.float64], given: NDArray[np.float64], loss: str
) -> dict[str, float]:
    """Scores of answers."""
    if loss == BINARY:
        return scores.binary(label, given)
    return scores.numeric(label, given)


def baseline(split: Split, loss: str) -> dict[str, float]:
    """Test scores of who answers every row with the middle of the training labels."""
    label = split.test.label.numpy()
    middle = scores.constant(split.train.label.numpy(), loss)
    found = scores_of(label, np.full(len(label), middle), loss)
    told = [name for name in COMPARED if name in found]
    return {BASELINE + name: found[name] for name in told}


def metrics(network: nn.Module, split: Split, loss: str, target: Target) -> dict[str, float]:
    """Test scores by plain name, validation scores with their prefix."""
    validation = scored(network, split.validation, loss, target)
    return {
        **scored(network, split.test, loss, target),
        **{f"validation_{name}": value for name, value in validation.items()},
        **baseline(split, loss),
    }
