"""Networks that draw random numbers in forward, each in its own way; and some that seem to."""

import random

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DropPath(nn.Module):
    """Stochastic depth for each example, as timm has it."""

    def forward(self, x: Tensor) -> Tensor:
        return x * x.new_empty((len(x), 1)).bernoulli_(0.8) / 0.8 if self.training else x


class LayerDrop(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if self.training and random.random() < 0.5 else x + 1


class Noise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + float(np.random.normal()) if self.training else x  # noqa: NPY002


class OwnGenerator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self._draws = torch.Generator().manual_seed(0)

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand(x.shape, generator=self._draws)


class Functional(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, 0.2, self.training)


class Attention(nn.Module):
    def __init__(self, dropout: float) -> None:
        super().__init__()
        self._dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        heads = x.view(len(x), 1, 2, 2)
        outputs = F.scaled_dot_product_attention(heads, heads, heads, dropout_p=self._dropout)
        return outputs.flatten(1)


class Recurrent(nn.Module):
    def __init__(self, kind: str = "GRU", layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.cell = getattr(nn, kind)(1, 4, layers, batch_first=True, dropout=dropout)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(x.unsqueeze(-1))[0][:, -1])


class NoisyLinear(nn.Linear):
    def __init__(self) -> None:
        super().__init__(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        outputs = super().forward(x)
        return outputs + torch.randn_like(outputs) if self.training else outputs


def around(part: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.ReLU(), part), nn.Linear(4, 3))


def drop_path() -> nn.Module:
    return around(DropPath())


def layer_drop() -> nn.Module:
    return around(LayerDrop())


def noise() -> nn.Module:
    return around(Noise())


def own_generator() -> nn.Module:
    return around(OwnGenerator())


def functional() -> nn.Module:
    return around(Functional())


def attention(dropout: float) -> nn.Module:
    return around(Attention(dropout))


def randomized_relu() -> nn.Module:
    return around(nn.RReLU())


def first_weights_of_others() -> nn.Module:
    """Draw the first weights from Python's and NumPy's generators."""
    module = nn.Linear(4, 3)
    with torch.no_grad():
        module.weight.fill_(random.random())
        module.bias.fill_(float(np.random.normal()))  # noqa: NPY002
    return module


def first_weights_of_nobody() -> nn.Module:
    module = nn.Linear(4, 3)
    with torch.no_grad():
        module.bias.fill_(float(np.random.default_rng().normal()))
    return module
