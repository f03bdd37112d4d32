"""Losses between decoded responses and their targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from dwf_steps.representation.layers import Elementwise

NEGLIGIBLE = 1e-6
"""Differences below which a secant's slope consists of float32 rounding errors."""

Curvature = Callable[[Tensor], Tensor]


class Loss(Protocol):
    """A function of responses and targets (n, groups, rows, units), summed over rows."""

    @property
    def dtype(self) -> torch.dtype:
        """The precision to minimise it in."""

    def value(self, responses: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each network, (n,)."""

    def expand(self, responses: Tensor, target: Tensor) -> tuple[Tensor, Curvature]:
        """Return a quadratic model of the loss: its gradient at ``responses``, and its curvature.

        The curvature is positive semi-definite.
        """


@dataclass(frozen=True)
class NextInputLoss:
    """Half the squared error of the next layer's input, a(s z + b).

    Its quadratic model is least squares reweighted by squared secant slopes between response and target: w (z
    - t)^2 = (a(z) - a(t))^2. The model has the value of the loss. Its gradient equals that of the loss to
    first order in z - t and, for ReLU, wherever both have the same sign. For ReLU, entries at which both are
    negative have weight zero.

    Attributes
    ----------
    activation
        The elementwise function a.
    scale, shift
        s and b of the batch norm that follows, (n, groups, 1, units); 1 and 0 if there is none.
    dtype
        The precision to minimise it in.
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
    """Kullback-Leibler divergence of the responses' softmax from the target's, KL(target || responses)."""

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
