"""Networks that `torch.func` cannot run many at once, each for a reason of its own; for four features."""

from typing import Any

import torch
from torch import Tensor, nn

LOWEST = torch.finfo(torch.float32).min


class Recurrent(nn.Module):
    """Reads the features one after the other; its states are normalised over the batch."""

    def __init__(self, kind: str = "LSTM", layers: int = 2) -> None:
        super().__init__()
        self.cell = getattr(nn, kind)(1, 5, layers, batch_first=True)
        self.norm = nn.BatchNorm1d(5)
        self.hidden, self.head = nn.Linear(5, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.cell(x.unsqueeze(-1))
        return self.head(self.hidden(self.norm(states[:, -1])).relu())


class Masked(nn.Module):
    """Attention among features, where small ones are masked if there are any: PyTorch looks at values."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(1, 4)
        self.query, self.key, self.value = (nn.Linear(4, 4) for _ in range(3))
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x.unsqueeze(-1)).tanh()
        scores = self.query(tokens) @ self.key(tokens).mT / 2
        if (small := x < 0).any():
            scores = scores.masked_fill(small.unsqueeze(1), LOWEST)
        return self.head((scores.softmax(-1) @ self.value(tokens)).mean(1))


class Written(nn.Module):
    """Writes into a new tensor of its inputs, which a batch shared by all networks has only once."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = x.new_empty(len(x), 5)
        hidden[:, :] = self.first(x)
        return self.head(hidden.relu())


class LooksWhenEvaluated(nn.Module):
    """Looks at values only while it is not trained."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x).tanh()
        if not self.training and float(hidden.detach().abs().max()) > 1:
            raise ArithmeticError("beyond tanh")
        return self.head(hidden)


class WrongRule(torch.autograd.Function):
    """Doubles, but of many networks triples."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> Tensor:
        return 2 * gradient

    @staticmethod
    def vmap(_info: Any, in_dims: Any, x: Tensor) -> Any:
        return 3 * x, in_dims[0]


class Doubled(nn.Module):
    """Computes something else for many networks at once."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden: Any = WrongRule.apply(self.first(x))
        return self.head(hidden.relu())
