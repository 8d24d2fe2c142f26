"""Small problems with a known signal, for what is compared with a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from train_svc.ports import Problem
from train_svc.rows import Rows, Split
from train_svc.training import TrainingConfig
from twinstream.features.inputs import Inputs
from twinstream.nn import TabularNetwork
from twinstream.nn.files import BINARY

Floats = NDArray[np.float64]
NAMES = ("a", "b")
INPUTS = Inputs(NAMES, ("kind",), (("last", 3),))
KINDS = 4


def rows_with(count: int, seed: int, signal: Callable[[Rows], Floats], loss: str) -> Rows:
    """Two numbers with nulls, four kinds, a sequence of up to three values; the label follows the
    signal: its sign more or less often as a logit says, or itself with noise.
    """
    dice = np.random.default_rng(seed)
    numeric = dice.normal(size=(count, len(NAMES)))
    numeric[dice.random(count) < 0.2, 1] = np.nan
    sequences = dice.normal(size=(count, 1, 3))
    sequences[dice.random(count) < 0.3] = np.nan
    kinds = dice.integers(0, KINDS, (count, 1))
    parts = (torch.from_numpy(part) for part in (numeric, kinds, sequences))
    rows = Rows(*parts, torch.zeros(count, dtype=torch.float64))
    middle = signal(rows)
    sure = 1 / (1 + np.exp(-middle))
    drawn = dice.random(count) < sure if loss == BINARY else middle + dice.normal(size=count)
    return Rows(rows.numeric, rows.categorical, rows.sequences, torch.from_numpy(drawn * 1.0))


def problem(signal: Callable[[Rows], Floats], loss: str = BINARY, rows: int = 4000) -> Problem:
    """Trained on so many rows, validated and tested on half as many."""
    train, validation, test = (
        rows_with(count, seed, signal, loss)
        for seed, count in enumerate((rows, rows // 2, rows // 2))
    )
    config = TrainingConfig(loss=loss, threads=1)
    split = Split(train, validation, test)
    return Problem(split, INPUTS, statistics_of(train), config, TabularNetwork)


def statistics_of(train: Rows) -> dict[str, Any]:
    numeric = {
        name: {"mean": float(np.nanmean(values)), "std": float(np.nanstd(values))}
        for name, values in zip(NAMES, train.numeric.numpy().T, strict=True)
    }
    steps = train.sequences.numpy()
    last = {"mean": float(np.nanmean(steps)), "std": float(np.nanstd(steps))}
    kinds = [str(kind) for kind in range(1, KINDS)]
    return {"numeric": numeric, "categories": {"kind": kinds}, "sequences": {"last": last}}


def straight(rows: Rows) -> Floats:
    """What a linear model can tell: a number, a null, a kind, the newest of a sequence."""
    null = torch.isnan(rows.numeric[:, 1])
    newest = torch.nan_to_num(rows.sequences[:, 0, 0])
    kind = (rows.categorical[:, 0] == 2).double()
    found: Floats = (2 * rows.numeric[:, 0] + 2 * null + 2 * kind + newest).numpy() - 1
    return found


def crossed(rows: Rows) -> Floats:
    """What it cannot: the sign of a product."""
    found: Floats = 4 * np.sign((rows.numeric[:, 0] * rows.sequences[:, 0, 0]).nan_to_num().numpy())
    return found
