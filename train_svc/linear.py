"""A linear model of the same standardised inputs as the network's: logistic regression, least
squares or least absolute errors, by reweighted least squares with a ridge penalty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import torch
from torch import Tensor

from train_svc.plain_inputs import plain_numbers, plain_statistics
from train_svc.rows import Rows
from twinstream.features.inputs import Inputs
from twinstream.nn.files import BINARY
from twinstream.nn.tabular import Normalisation

CHUNK_ROWS = 8192
COMMON, MOST_ONE_HOT = 32, 512
"""Categories of an input that have a column, the commonest first, and such columns in all."""
MOST_STEPS = 15
CLOSE = 1e-6
"""A step that changes no coefficient by more is the last."""
Reweighted = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""What a model gives now, and what it should -> weights and targets of the next least squares."""


class Design:
    """Rows as the columns of a linear model: numbers, whether each is null, one for each common
    category, and ones.
    """

    def __init__(
        self,
        inputs: Inputs,
        statistics: Mapping[str, Any],
        train: Rows,
    ) -> None:
        self._normalise = Normalisation(plain_statistics(inputs, statistics))
        self._common = commonest(train.categorical)
        one_hot = sum(map(len, self._common))
        self.width = 2 * len(self._normalise.mean) + one_hot + 1

    def chunks(
        self,
        rows: Rows,
    ) -> Iterator[tuple[slice, Tensor]]:
        """Which rows, and their float64[rows, width]."""
        for start in range(0, len(rows), CHUNK_ROWS):
            which = slice(start, start + CHUNK_ROWS)
            yield which, self._columns(rows.take(which))

    def _columns(
        self,
        rows: Rows,
    ) -> Tensor:
        values, null = self._normalise(torch.from_numpy(plain_numbers(rows)))
        one_hot = [
            rows.categorical[:, [i]] == common[None] for i, common in enumerate(self._common)
        ]
        ones = torch.ones(len(rows), 1)
        return torch.cat([values, null, *one_hot, ones], dim=1).double()


def commonest(codes: Tensor) -> list[Tensor]:
    """Of each input, int64[n, C], the codes that have a column."""
    most = min(COMMON, MOST_ONE_HOT // max(1, codes.shape[1]))
    return [common_codes(column, max(1, most)) for column in codes.T]


def common_codes(
    codes: Tensor,
    most: int,
) -> Tensor:
    """int64[at most `most`]: the commonest codes, of equals the smaller."""
    values, counts = torch.unique(codes, return_counts=True)
    order = torch.argsort(counts, descending=True, stable=True)
    return values[order[:most]]


def linear_output(
    design: Design,
    rows: Rows,
    weights: Tensor,
) -> Tensor:
    """float64[n]: logits, or numbers in the unit that was learned."""
    return torch.cat([columns @ weights for _, columns in design.chunks(rows)])


class Regression(msgspec.Struct, frozen=True):
    """What is fitted: rows in a design, and float64[n] that should come of them."""

    design: Design
    rows: Rows
    wanted: Tensor
    loss: str

    def normal_equations(
        self,
        weights: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """X' W X and X' W z around some weights, chunk by chunk."""
        width = self.design.width
        gram = torch.zeros(width, width, dtype=torch.float64)
        moment = torch.zeros(width, dtype=torch.float64)
        for which, columns in self.design.chunks(self.rows):
            size, target = REWEIGHTED[self.loss](columns @ weights, self.wanted[which])
            heavy = columns * size[:, None]
            gram += heavy.T @ columns
            moment += heavy.T @ target
        return gram, moment


def fit_linear(
    given: Regression,
    strength: float,
    start: Tensor,
) -> Tensor:
    """float64[width]: what makes mean loss + strength / 2 * |weights|^2 least (the ones' weight is
    free).
    """
    weights = start
    ridge = strength * len(given.rows) * torch.ones_like(start)
    ridge[-1] = 0.0
    for _ in range(MOST_STEPS):
        gram, moment = given.normal_equations(weights)
        before, weights = weights, torch.linalg.solve(gram + torch.diag(ridge), moment)
        if float((weights - before).abs().max()) < CLOSE:
            break
    return weights


def _logistic(
    given: Tensor,
    wanted: Tensor,
) -> tuple[Tensor, Tensor]:
    given = given.clamp(-15, 15)
    sure = torch.sigmoid(given)
    size = sure - sure**2
    return size, given + (wanted - sure) / size


def _squares(
    given: Tensor,
    wanted: Tensor,
) -> tuple[Tensor, Tensor]:
    return torch.ones_like(given), wanted


def _absolute(
    given: Tensor,
    wanted: Tensor,
) -> tuple[Tensor, Tensor]:
    return 1 / (wanted - given).abs().clamp(min=1e-3), wanted


REWEIGHTED: dict[str, Reweighted] = {
    BINARY: _logistic,
    "mean_squared_error": _squares,
    "mean_absolute_error": _absolute,
}
