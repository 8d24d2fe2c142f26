"""One network trained on one table, to be read from top to bottom.
Knows no search, no topic, no bucket.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pyarrow as pa
import torch
from torch import nn

from train_svc.evaluation import answered, metrics, outputs, unit_of, wanted
from train_svc.optimizer import AdamW
from train_svc.rows import Split, TrainingImpossibleError, split_of
from twinstream.features.inputs import InputNames, Inputs
from twinstream.nn.files import BINARY
from twinstream.nn.tabular import TabularNetwork
from twinstream.nn.target import Target
from twinstream.protocol.training_settings import TRAINING

LOSSES: dict[str, Callable[[], nn.Module]] = {
    BINARY: nn.BCEWithLogitsLoss,
    "mean_squared_error": nn.MSELoss,
    "mean_absolute_error": nn.L1Loss,
}
LEAST_STEPS = 8
"""Of a pass over few rows; their batches are smaller."""


class TrainingConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How one network is trained; `arguments` go to the network's class."""

    learning_rate: float = 2e-3
    """Peak of the one-cycle schedule."""
    weight_decay: float = 1e-2
    batch_size: int = 1024
    max_epochs: int = 12
    """Most passes over the training rows; the schedule is laid out for all of them."""
    patience: int = 3
    """Passes without a better validation loss after which the learning rate falls to its end, in
    as many passes from the best one.
    """
    loss: str = BINARY
    seed: int = 1
    threads: int = 0
    """Threads of one PyTorch operation; 0 leaves them as they are."""
    arguments: dict[str, Any] = {}

    def changed(
        self,
        candidate: Mapping[str, Any],
    ) -> TrainingConfig:
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
    network, counts = fit_network(
        split, inputs, statistics, config, network_class=network_class, on_epoch=on_epoch
    )
    target = unit_of(split.train, config.loss)
    return network, {**metrics(network, split, config.loss, target), **counts}


def fit_network(
    split: Split,
    inputs: Inputs,
    statistics: Mapping[str, Any],
    config: TrainingConfig,
    *,
    network_class: Callable[..., Any] = TabularNetwork,
    on_epoch: OnEpoch | None = None,
) -> tuple[nn.Module, dict[str, float]]:
    """The network in evaluation mode, and how many rows and passes it took."""
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
    return network.eval(), counts


class Passes:
    """Passes over the training rows. When none of the last few was better on the validation rows,
    a few more go on from the best one, in which the learning rate falls to its end.
    """

    def __init__(
        self,
        network: nn.Module,
        split: Split,
        config: TrainingConfig,
        target: Target,
    ) -> None:
        self._network = network
        self._split = split
        self._config = config
        self._loss_of = LOSSES[config.loss]()
        self._wanted = wanted(split.train, target)
        self._validated = wanted(split.validation, target)
        self._size = min(config.batch_size, math.ceil(len(split.train) / LEAST_STEPS))
        self._steps = math.ceil(len(split.train) / self._size)
        self._optimizer = AdamW(
            network,
            peak=config.learning_rate,
            steps=self._steps * config.max_epochs,
            weight_decay=config.weight_decay,
        )
        self._last = config.max_epochs
        self._cooling = False
        self.epoch = 0
        self.best_epoch = 0
        self._best_loss = math.inf
        self._best = copy.deepcopy(network.state_dict())

    def run(
        self,
        on_epoch: OnEpoch | None,
    ) -> None:
        """Leaves the network as it was after the best pass; raises TrainingImpossibleError when
        there is none.
        """
        while self.epoch < self._last:
            self.epoch += 1
            self._learn()
            loss = self._validate()
            if on_epoch is not None and on_epoch(self.epoch, loss):
                break
            if not self._cooling and self.epoch - self.best_epoch >= self._config.patience:
                self._cool_down()
        if self.best_epoch == 0:
            raise TrainingImpossibleError(
                f"no pass of {self.epoch} gave a finite validation loss: "
                "choose a lower learning_rate"
            )
        self._network.load_state_dict(self._best)

    def _cool_down(self) -> None:
        """The schedule was laid out for more passes than are made: its end comes sooner."""
        self._cooling = True
        left = min(self._config.patience, self._last - self.epoch) if self.best_epoch else 0
        self._last = self.epoch + left
        self._network.load_state_dict(self._best)
        self._optimizer.cool_down(max(1, left * self._steps))

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


def check(
    split: Split,
    config: TrainingConfig,
) -> None:
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
