"""What a traced network is made of: its layers and batch normalisations, in execution order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Elementwise = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Normalisation:
    """One batch normalisation, by the names of its parameters and buffers; ``weight`` and ``bias`` are None
    where it has none."""

    weight: str | None
    bias: str | None
    mean: str
    variance: str
    epsilon: float


@dataclass(frozen=True)
class Convolution:
    """How a convolution reads its inputs, an entry for each spatial axis."""

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
        Its parameters' names; ``bias`` is None where it has none.
    units
        What it yields at one position.
    fan_in
        Inputs of one unit, without the bias.
    groups
        Groups of units, each of which reads inputs of its own.
    places
        Shape of its output positions of one example: of a convolution its output image, after the number of
        images where there are several; of a linear layer the axes besides examples and features.
    batch_axis
        The axis of its inputs along which examples lie.
    before
        Positions along that axis for each of which all examples follow one another: 1 where the axis holds
        examples alone, or examples first.
    convolution
        None of linear layers.
    normalisation
        The batch normalisation that reads its responses, if one alone does.
    activation
        What then follows, if it is elementwise.
    is_output
        Whether the network returns its responses.
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
        """What its coordinates are called."""
        return self.weight.removesuffix("weight") + "responses"

    @property
    def parameters(self) -> tuple[str, ...]:
        return (self.weight,) if self.bias is None else (self.weight, self.bias)

    def with_ones(self, inputs: Tensor) -> Tensor:
        """Return inputs (..., fan_in) followed by a one for the bias, where there is a bias."""
        return inputs if self.bias is None else torch.cat([inputs, torch.ones_like(inputs[..., :1])], dim=-1)

    def outputs(self, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return the responses (..., rows, units) to ``inputs`` (..., groups, rows, fan_in), given
        ``weight`` (..., units, fan_in) and ``bias`` (..., units)."""
        grouped = weight.unflatten(-2, (self.groups, self.units // self.groups))
        products = (inputs @ grouped.transpose(-1, -2)).transpose(-3, -2).flatten(-2)
        return products if bias is None else products + bias.unsqueeze(-2)


TracedStep = Layer | Normalisation


@dataclass(frozen=True)
class Trace:
    """What a network does, in order.

    Attributes
    ----------
    steps
        Layers and batch normalisations in execution order.
    kept
        Parameters that are no layer's: norms' affine parameters, embeddings, positions.
    """

    steps: tuple[TracedStep, ...]
    kept: tuple[str, ...]

    @property
    def layers(self) -> tuple[Layer, ...]:
        return tuple(step for step in self.steps if isinstance(step, Layer))
