"""AdamW over all of a network's parameters as one vector, with gradient clipping and a one-cycle
schedule that can be brought to its end early.
"""

# Our own, because the first use of `torch.optim` in a process imports the compiler:
# 4.5 s and 140 MB, in each worker of a search.

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

WARM_UP = 0.3
"""Share of the steps in which the rate rises, from 1/25 of its peak;
then it falls to almost nothing, both along a cosine.
"""
FIRST, LAST = 1 / 25, 1e-5


class AdamW:
    """Decoupled weight decay (Loshchilov and Hutter, 2019) on one flat vector, of which the
    network's parameters become views.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        peak: float,
        steps: int,
        weight_decay: float,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        parameters = [p for p in network.parameters() if p.requires_grad]
        self.values = torch.cat([p.detach().reshape(-1) for p in parameters])
        self.gradient = torch.zeros_like(self.values)
        self._first = torch.zeros_like(self.values)
        self._second = torch.zeros_like(self.values)
        self._peak = peak
        self._steps = steps
        self._weight_decay = weight_decay
        self._betas = betas
        self._step = 0
        self._cooled: tuple[int, int, float] | None = None
        self._share(parameters)

    def _share(
        self,
        parameters: list[nn.Parameter],
    ) -> None:
        """Make each parameter a view of its part of the vector."""
        start = 0
        for p in parameters:
            end = start + p.numel()
            p.data = self.values[start:end].view_as(p)
            p.grad = self.gradient[start:end].view_as(p)
            start = end

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        if self._cooled is None:
            return one_cycle(self._step, self._steps, self._peak)
        start, steps, first = self._cooled
        return cosine(first, LAST * self._peak, (self._step - start) / steps)

    def cool_down(
        self,
        steps: int,
    ) -> None:
        """From here on the rate falls from what it is to the schedule's end, in so many steps.
        Moments that are not finite begin at nothing again.
        """
        self._cooled = (self._step, steps, self.rate)
        for moment in (self._first, self._second):
            moment.nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)

    def step(
        self,
        loss: Tensor,
        longest: float = 1.0,
    ) -> None:
        """One update from a loss; the gradient is scaled down to a norm of `longest`."""
        self.gradient.zero_()
        loss.backward()
        norm = float(self.gradient.norm()) + 1e-6
        self.gradient.mul_(min(1.0, longest / norm))
        rate = self.rate
        self._step += 1
        b1, b2 = self._betas
        self._first.lerp_(self.gradient, 1 - b1)
        self._second.mul_(b2).addcmul_(self.gradient, self.gradient, value=1 - b2)
        spread = (self._second / (1 - b2**self._step)).sqrt_().add_(1e-8)
        self.values.mul_(1 - rate * self._weight_decay)
        size = -rate / (1 - b1**self._step)
        self.values.addcdiv_(self._first, spread, value=size)


def one_cycle(
    step: int,
    steps: int,
    peak: float,
) -> float:
    """Learning rate of a step counted from 0 (Smith, 2018)."""
    rise = max(1.0, WARM_UP * steps)
    if step < rise:
        return cosine(FIRST * peak, peak, step / rise)
    part = (step - rise) / max(1.0, steps - rise)
    return cosine(peak, LAST * peak, part)


def cosine(
    first: float,
    last: float,
    part: float,
) -> float:
    """From `first` (part 0) to `last` (part 1 and beyond) along half a cosine."""
    angle = math.pi * min(part, 1.0)
    return last + (first - last) * (1 + math.cos(angle)) / 2
