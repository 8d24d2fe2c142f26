"""The network for tables: categories embedded, numbers normalised inside, sequences read by a GRU,
a residual MLP on top.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

SEQUENCE_WIDTH = 16


class InputNames(Protocol):
    """Names of a network's inputs, in their order; a sequence is (name, length)."""

    @property
    def numeric(self) -> Sequence[str]: ...
    @property
    def categorical(self) -> Sequence[str]: ...
    @property
    def sequences(self) -> Sequence[tuple[str, int]]: ...


class TabularNetwork(nn.Module):
    """Logit of a binary outcome (or a number, for other losses) from numbers with nulls,
    categories and short sequences.

    `statistics` are those of the training set: mean and std become buffers, categories the
    embeddings' sizes. Null is not zero: a null number is the mean *and* sets an indicator;
    an unknown category has an embedding of its own, trained by dropping known ones.
    """

    def __init__(
        self,
        inputs: InputNames,
        statistics: Mapping[str, Any],
        *,
        width: int = 128,
        dropout: float = 0.1,
        blocks: int = 2,
    ) -> None:
        super().__init__()
        self.normalise = Normalisation(
            [statistics["numeric"].get(name, {}) for name in inputs.numeric]
            + [
                statistics["sequences"].get(name, {})
                for name, length in inputs.sequences
                for _ in range(length)
            ]
        )
        self.embed = Embeddings(
            [len(statistics["categories"].get(name, ())) for name in inputs.categorical]
        )
        self.read = SequenceReader([length for _, length in inputs.sequences])
        self.numbers = len(inputs.numeric)
        total = 2 * len(inputs.numeric) + self.embed.width + self.read.width
        self.stem = nn.Linear(max(total, 1), width)
        self.blocks = nn.Sequential(*(ResidualBlock(width, dropout) for _ in range(blocks)))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 1))
        start_from_base_rate(self.head[1], statistics.get("label", {}).get("mean"))

    def forward(self, numeric: Tensor, categorical: Tensor, sequences: Tensor) -> Tensor:
        """float64[n, N] (NaN: null), int64[n, C] (0: unknown or null), float64[n, S,
        K] (NaN padded, newest first) -> float32[n].
        """
        values, null = self.normalise(self.read.beside(numeric, sequences))
        n = self.numbers
        parts = [values[:, :n], null[:, :n], self.embed(categorical)]
        parts.append(self.read(values[:, n:], null[:, n:]))
        joined = torch.cat(parts, dim=1)
        if joined.shape[1] == 0:
            joined = torch.zeros(numeric.shape[0], 1)
        return self.head(self.blocks(self.stem(joined))).squeeze(1)


class Normalisation(nn.Module):
    """(x - mean) / std, compressed beyond one std so that outliers keep their order,
    and an indicator of null.
    """

    def __init__(self, statistics: Sequence[Mapping[str, float | None]]) -> None:
        super().__init__()
        self.register_buffer(
            "mean",
            torch.tensor([_finite(s.get("mean"), 0.0) for s in statistics], dtype=torch.float64),
        )
        self.register_buffer(
            "std",
            torch.tensor(
                [_finite(s.get("std"), 0.0) or 1.0 for s in statistics], dtype=torch.float64
            ),
        )

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """float64[n, N] -> values float32[n, N], 0 for null, and whether each is null, float32[n,
        N].
        """
        null = torch.isnan(values)
        scaled = compress((values - self.mean) / self.std)
        return scaled.masked_fill(null, 0.0).float(), null.float()


class Embeddings(nn.Module):
    """One table per category; row 0 stands for unknown, and in training takes a small share of the
    known ones.
    """

    UNKNOWN_SHARE = 0.01

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        widths = [min(32, round(1.6 * (size + 1) ** 0.56)) for size in sizes]
        self.tables = nn.ModuleList(
            nn.Embedding(size + 1, width) for size, width in zip(sizes, widths, strict=True)
        )
        self.width = sum(widths)

    def forward(self, codes: Tensor) -> Tensor:
        """int64[n, C] -> float32[n, width]."""
        if self.training:
            codes = codes * (torch.rand(codes.shape) >= self.UNKNOWN_SHARE)
        parts = [table(codes[:, i]) for i, table in enumerate(self.tables)]
        return torch.cat(parts, dim=1) if parts else torch.zeros(codes.shape[0], 0)


class SequenceReader(nn.Module):
    """A small GRU per sequence, from its last value (the oldest of a last_k) to its first;
    null steps say that they are null.
    """

    def __init__(self, lengths: Sequence[int]) -> None:
        super().__init__()
        self.lengths = tuple(lengths)
        self.cells = nn.ModuleList(nn.GRU(2, SEQUENCE_WIDTH, batch_first=True) for _ in lengths)
        self.width = SEQUENCE_WIDTH * len(lengths)
        oldest_first = [
            i * max(lengths) + step
            for i, length in enumerate(lengths)
            for step in reversed(range(length))
        ]
        self.register_buffer("order", torch.tensor(oldest_first, dtype=torch.int64))

    def beside(self, numeric: Tensor, sequences: Tensor) -> Tensor:
        """float64[n, N] and float64[n, S, K] -> float64[n, N + sum of the lengths],
        each sequence from its oldest step to its newest.
        """
        if not self.lengths:
            return numeric
        steps = sequences.flatten(1).index_select(1, self.order)
        return torch.cat([numeric, steps], dim=1)

    def forward(self, values: Tensor, null: Tensor) -> Tensor:
        """The steps' values and whether each is null, float32[n, sum of the lengths] both ->
        float32[n, width].
        """
        parts, at = [], 0
        for length, cell in zip(self.lengths, self.cells, strict=True):
            end = at + length
            steps = torch.stack([values[:, at:end], null[:, at:end]], dim=2)
            parts.append(cell(steps)[1][0])
            at = end
        return torch.cat(parts, dim=1) if parts else values[:, :0]


class ResidualBlock(nn.Module):
    """x + MLP(LayerNorm(x))."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """float32[n, width] -> the same shape."""
        return x + self.change(x)


def compress(z: Tensor) -> Tensor:
    """Of |z| up to 1 itself, then 1 + log |z|, with the sign: monotone, continuous with its slope,
    and at most 8 for |z| <= 1000.
    """
    size = z.abs()
    return torch.sign(z) * torch.minimum(size, 1 + torch.log(size.clamp(min=1)))


def start_from_base_rate(last: nn.Linear, rate: float | None) -> None:
    """Small weights and the log odds of the label's mean as bias, so that training starts at the
    base rate.
    """
    nn.init.normal_(last.weight, std=0.01)
    if rate is not None and 0 < rate < 1:
        nn.init.constant_(last.bias, math.log(rate / (1 - rate)))


def _finite(value: float | None, otherwise: float) -> float:
    return otherwise if value is None or not math.isfinite(value) else float(value)
