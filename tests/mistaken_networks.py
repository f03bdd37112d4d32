"""Modules of the user's own with a mistake each."""

import functools
from subprocess import getoutput  # noqa: F401 -- found by its name
from typing import Any

import torch
from torch import Tensor, nn

from dwf_steps.symmetry.spec import Attention, Projection, Rescaling

RIGHT = {"a.weight": ("h", None), "a.bias": ("h",), "b.weight": (None, "h"), "b.bias": (None,)}
UNNAMED = {"a.weight": (None, None), "a.bias": (None,), "b.weight": (None, None), "b.bias": (None,)}


class Perceptron(nn.Module):
    """States whatever it is given."""

    def __init__(self, width: int = 5, change: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, width), nn.Linear(width, 3)
        self._spec = RIGHT | (change or {})

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x).relu())

    def permutation_spec(self) -> Any:
        return {name: axes for name, axes in self._spec.items() if axes != "left out"}


class NoSpec(Perceptron):
    def permutation_spec(self) -> Any:
        return None


class FailingSpec(Perceptron):
    def permutation_spec(self) -> Any:
        raise KeyError("layers")


class WrongScales(Perceptron):
    def rescaling_spec(self) -> Any:
        return [Rescaling(("a.weight", "a.bias"), ("b.bias",))]


class WrongHeads(Perceptron):
    def attention_spec(self) -> Any:
        part = Projection("a.weight", "a.bias")
        return [Attention(part, part, part, "b.weight", 2)]


class OtherSizes(Perceptron):
    def rescaling_spec(self) -> Any:
        return [Rescaling(("a.weight",), ("a.weight",))]


class NoList(Perceptron):
    def rescaling_spec(self) -> Any:
        return ["a.weight"]


class FailsWhenTrained(Perceptron):
    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            raise RuntimeError("no\ntraining")
        return super().forward(x)


class Auxiliary(Perceptron):
    def forward(self, x: Tensor) -> Any:
        outputs = super().forward(x)
        return (outputs, outputs) if self.training else outputs


class Single(Perceptron):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.float())


class SingleUnstated(nn.Module):
    """It states nothing, and computes in float32 alone."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x).relu().float())


class Fixed(Perceptron):
    """The constant is in no state dict."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("turned", torch.eye(4).flip(0), persistent=False)
        self.register_buffer("order", torch.arange(4), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward((x @ self.turned)[:, self.order])


class Talkative(Perceptron):
    def forward(self, x: Tensor) -> Any:
        return {"logits": super().forward(x)}


def lazy() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 5), nn.LazyLinear(3))


def double() -> nn.Module:
    return nn.Linear(4, 3).double()


def empty() -> nn.Module:
    return nn.Flatten()


Made = functools.partial(Perceptron, width=7)
instance = Perceptron()
number = 3


def decorated(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper
