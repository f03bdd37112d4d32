"""What decoded responses should agree with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from dwf_steps.representation.layers import Elementwise

NEGLIGIBLE = 1e-6
"""Differences below which a secant's slope, in float32, is rounding."""

Curvature = Callable[[Tensor], Tensor]


class Loss(Protocol):
    """A sum over rows of a function of responses and targets (n, groups, rows, units)."""

    @property
    def dtype(self) -> torch.dtype:
        """The precision that it is minimised in."""

    def value(self, responses: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each network, (n,)."""

    def expand(self, responses: Tensor, target: Tensor) -> tuple[Tensor, Curvature]:
        """Return the gradient at ``responses`` of a quadratic that stands for the loss, and its positive
        semi-definite curvature."""


@dataclass(frozen=True)
class NextInputLoss:
    """Half the squared error of a(s z + b), the next layer's input.

    Its quadratic is that of least squares reweighted by squared secant slopes between response and target:
    w (z - t)^2 = (a(z) - a(t))^2. It has the loss's value; its gradient is the loss's to first order in
    z - t, and for ReLU wherever both have one sign. For ReLU entries where both are negative have no weight.
    """

    activation: Elementwise
    scale: Tensor | float = 1.0
    shift: Tensor | float = 0.0
    dtype: torch.dtype = torch.float32

    def value(self, responses: Tensor, target: Tensor) -> Tensor:
        reached, wanted = (self.activation(value * self.scale + self.shift) for value in (responses, target))
        return (reached - wanted).square().sum((1, 2, 3)) / 2

    def expand(self, responses: Tensor, target: Tensor) -> tuple[Tensor, Curvature]:
        difference = (responses - target) * self.scale
        reached, wanted = (self.activation(value * self.scale + self.shift) for value in (responses, target))
        slope = torch.where(difference.abs() > NEGLIGIBLE, (reached - wanted) / difference, 1.0)
        weights = slope.square() * self.scale**2
        return weights * (responses - target), lambda values: weights * values


@dataclass(frozen=True)
class SoftmaxLoss:
    """Kullback-Leibler divergence of the softmax from the target's."""

    dtype: torch.dtype = torch.float64  # its curvature vanishes in some directions

    def value(self, responses: Tensor, target: Tensor) -> Tensor:
        wanted = target.softmax(-1)
        return -(wanted * (responses.log_softmax(-1) - target.log_softmax(-1))).sum((1, 2, 3))

    def expand(self, responses: Tensor, target: Tensor) -> tuple[Tensor, Curvature]:
        found = responses.softmax(-1)

        def curvature(values: Tensor) -> Tensor:
            weighted = found * values
            return weighted - found * weighted.sum(-1, keepdim=True)

        return found - target.softmax(-1), curvature
