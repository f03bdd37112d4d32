"""Layers and batch norms of a traced network, in execution order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Elementwise = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Normalisation:
    """One batch norm, by the names of its parameters and buffers.

    Attributes
    ----------
    weight, bias
        None if it has none.
    mean, variance
        Running statistics.
    epsilon
        The constant that it adds to variances.
    """

    weight: str | None
    bias: str | None
    mean: str
    variance: str
    epsilon: float


@dataclass(frozen=True)
class Convolution:
    """How a convolution reads its inputs: an entry for each spatial axis."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """One layer that is linear in its inputs.

    Attributes
    ----------
    weight, bias
        Names of its parameters; ``bias`` is None if it has none.
    units
        The number of outputs at one position.
    fan_in
        The number of inputs of one unit, without the bias.
    groups
        Groups of units, each of which reads its own inputs.
    places
        Shape of its output positions for one example. For a convolution it is the output image, preceded by
        the number of images if there are several; for a linear layer, the axes other than examples and
        features.
    batch_axis
        The axis of its inputs that holds the examples.
    before
        The number of outer positions along that axis, each of which is followed by all examples; 1 if the
        axis holds examples only, or examples first.
    convolution
        None for linear layers.
    normalisation
        The batch norm that alone reads its responses, if there is one.
    activation
        The elementwise function that follows, if there is one.
    is_output
        Whether its responses are the network's outputs.
    reads_data
        Whether its inputs are the same in every network.
    """

    weight: str
    bias: str | None
    units: int
    fan_in: int
    groups: int
    places: tuple[int, ...]
    batch_axis: int = 0
    before: int = 1
    convolution: Convolution | None = None
    normalisation: Normalisation | None = None
    activation: Elementwise | None = None
    is_output: bool = False
    reads_data: bool = False

    @property
    def name(self) -> str:
        """The name of its coordinates."""
        return self.weight.removesuffix("weight") + "responses"

    @property
    def parameters(self) -> tuple[str, ...]:
        return (self.weight,) if self.bias is None else (self.weight, self.bias)

    def with_ones(self, inputs: Tensor) -> Tensor:
        """Append a column of ones to inputs (..., fan_in) if the layer has a bias."""
        return inputs if self.bias is None else torch.cat([inputs, torch.ones_like(inputs[..., :1])], dim=-1)

    def outputs(self, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Compute the responses of the layer.

        Parameters
        ----------
        inputs
            (..., groups, rows, fan_in).
        weight
            (..., units, fan_in).
        bias
            (..., units), or None.

        Returns
        -------
        Responses, (..., rows, units).
        """
        grouped = weight.unflatten(-2, (self.groups, self.units // self.groups))
        products = (inputs @ grouped.transpose(-1, -2)).transpose(-3, -2).flatten(-2)
        return products if bias is None else products + bias.unsqueeze(-2)


TracedStep = Layer | Normalisation


@dataclass(frozen=True)
class Trace:
    """The steps of a network.

    Attributes
    ----------
    steps
        Layers and batch norms in execution order.
    kept
        Parameters that belong to no layer: norms' affine parameters, embeddings, positions.
    """

    steps: tuple[TracedStep, ...]
    kept: tuple[str, ...]

    @property
    def layers(self) -> tuple[Layer, ...]:
        return tuple(step for step in self.steps if isinstance(step, Layer))
