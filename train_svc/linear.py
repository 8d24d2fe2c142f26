"""A linear model of the same standardised inputs as the network's: logistic regression, least
squares or least absolute errors, by reweighted least squares with a ridge penalty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

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
    ) -> Iterator[Tensor]:
        """float32[rows, width] of some rows after the other."""
        for start in range(0, len(rows), CHUNK_ROWS):
            yield self._columns(rows.take(slice(start, start + CHUNK_ROWS)))

    def _columns(
        self,
        rows: Rows,
    ) -> Tensor:
        values, null = self._normalise(torch.from_numpy(plain_numbers(rows)))
        one_hot = [
            rows.categorical[:, [i]] == common[None] for i, common in enumerate(self._common)
        ]
        ones = torch.ones(len(rows), 1)
        return torch.cat([values, null, *one_hot, ones], dim=1)


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
    return torch.cat([columns.double() @ weights for columns in design.chunks(rows)])


class Regression(msgspec.Struct, frozen=True):
    """What is fitted: columns float32[rows, width] and what should come of them, float64[rows], of
    some rows after the other.
    """

    chunks: list[tuple[Tensor, Tensor]]
    loss: str

    @classmethod
    def of(
        cls,
        design: Design,
        rows: Rows,
        wanted: Tensor,
        loss: str,
    ) -> Self:
        """Of all rows, in memory."""
        parts = wanted.double().split(CHUNK_ROWS)
        return cls(list(zip(design.chunks(rows), parts, strict=True)), loss)

    @property
    def rows(self) -> int:
        """How many there are."""
        return sum(len(wanted) for _, wanted in self.chunks)

    def start(self) -> Tensor:
        """float64[width]: no weights."""
        return torch.zeros(self.chunks[0][0].shape[1], dtype=torch.float64)

    def normal_equations(
        self,
        weights: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """X' W X and X' W z around some weights, chunk by chunk."""
        moment = torch.zeros_like(weights)
        gram = torch.outer(moment, moment)
        for columns, wanted in self.chunks:
            exact = columns.double()
            size, target = REWEIGHTED[self.loss](exact @ weights, wanted)
            heavy = exact * size[:, None]
            gram += heavy.T @ exact
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
    ridge = strength * given.rows * torch.ones_like(start)
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
