"""The velocity field as a multilayer perceptron, and embeddings of times and conditions."""

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from dwf_steps.config.generators.velocity import VelocityConfig

LONGEST_PERIOD = 10_000.0


class TimeEmbedding(nn.Module):
    """Sinusoidal features of 1000 t, t in [0, 1] (Vaswani et al. 2017), then a linear layer and GELU."""

    frequencies: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        exponents = torch.arange(width // 2) / (width // 2)
        self.register_buffer("frequencies", 1000.0 * torch.exp(-math.log(LONGEST_PERIOD) * exponents))
        self.linear = nn.Sequential(nn.Linear(width, width), nn.GELU())

    def forward(self, t: Tensor) -> Tensor:
        """Map times (b, 1) to features (b, width)."""
        angles = t * self.frequencies
        return self.linear(torch.cat([angles.cos(), angles.sin()], dim=-1))


class ConditionEmbedding(TimeEmbedding):
    """Embedding of times and standardised conditions (t, c).

    Adds to the features of t those of c, computed by an MLP, or a learned vector if c is NaN, which stands
    for no condition (Ho & Salimans 2022, arXiv 2207.12598).
    """

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.condition = nn.Sequential(nn.Linear(1, width), nn.GELU(), nn.Linear(width, width))
        self.unconditional = nn.Parameter(torch.zeros(width))

    def forward(self, t: Tensor) -> Tensor:
        """Map times and conditions (b, 2) to features (b, width)."""
        time, condition = t.split(1, dim=1)
        features = self.condition(condition.nan_to_num())
        return super().forward(time) + torch.where(condition.isnan(), self.unconditional, features)


class CategoryEmbedding(TimeEmbedding):
    """Embedding of times and categories (t, c), c = 0, 1, ...

    Adds to the features of t a learned vector for each category, and another one for c = NaN, no category.
    """

    def __init__(self, width: int, categories: int) -> None:
        super().__init__(width)
        self.categories = nn.Embedding(categories + 1, width)

    def forward(self, t: Tensor) -> Tensor:
        """Map times and categories (b, 2) to features (b, width)."""
        time, category = t.split(1, dim=1)
        number = category.nan_to_num(nan=self.categories.num_embeddings - 1).long()[:, 0]
        return super().forward(time) + self.categories(number)


Embedding = Callable[[int], TimeEmbedding]
"""Builds an embedding, of a given width, of times (b, 1), or of times and conditions (b, 2)."""


class VelocityMLP(nn.Module):
    """v(t, x): [x, time] -> h -> h/2 -> ... -> h -> k with LayerNorm, GELU and dropout.

    The network of DeepWeightFlow (arXiv 2601.05052). The output layer is initialised at zero.

    Parameters
    ----------
    dimension
        k, the number of latents.
    config
        Width h, depth, time embedding, dropout.
    embedding
        Builds the embedding of times, or of times and conditions.
    """

    def __init__(self, dimension: int, config: VelocityConfig, embedding: Embedding = TimeEmbedding) -> None:
        super().__init__()
        self.time = embedding(config.time_embedding)
        widths = [dimension + config.time_embedding, *hidden_widths(config)]
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(widths):
            layers += [
                nn.Linear(fan_in, fan_out),
                nn.LayerNorm(fan_out),
                nn.GELU(),
                nn.Dropout(config.dropout),
            ]
        self.hidden = nn.Sequential(*layers)
        self.output = nn.Linear(widths[-1], dimension)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        """Return velocities (b, k).

        Parameters
        ----------
        t
            Times (b, 1), or times and conditions (b, 2).
        x
            Points, (b, k).
        """
        return self.output(self.hidden(torch.cat([x, self.time(t)], dim=-1)))


def hidden_widths(config: VelocityConfig) -> list[int]:
    """Compute the widths of the hidden layers of a `VelocityMLP`.

    Parameters
    ----------
    config
        Width h and depth.

    Returns
    -------
    The widths: h for the first and the last, h/2 (rounded down, at least 1) for those between.
    """
    inner = [max(1, config.width // 2)] * (config.depth - 2)
    return [config.width] if config.depth == 1 else [config.width, *inner, config.width]
