"""Networks of one's own, as a user would bring them."""

import torch
from torch import Tensor, nn

from dwf_steps.symmetry.spec import Rescaling


class SmallCNN(nn.Module):
    """Two convolutions, the second normalised by groups of one channel, and a linear layer."""

    def __init__(self, channels: int = 4, classes: int = 3) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.GroupNorm(channels, channels)
        self.head = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.first(images).relu()
        hidden = self.norm(self.second(hidden)).relu()
        return self.head(hidden.mean(dim=(2, 3)))

    def permutation_spec(self) -> dict[str, tuple[str | None, ...]]:
        return {
            "first.weight": ("first", None, None, None),
            "first.bias": ("first",),
            "second.weight": ("second", "first", None, None),
            "second.bias": ("second",),
            "norm.weight": ("second",),
            "norm.bias": ("second",),
            "head.weight": (None, "second"),
            "head.bias": (None,),
        }


class ReluCNN(nn.Module):
    """Two convolutions without normalisation, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 5, 3, padding=1)
        self.head = nn.Linear(5, 3)

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.second(self.first(images).relu()).relu()
        return self.head(hidden.mean(dim=(2, 3)))

    def rescaling_spec(self) -> list[Rescaling]:
        return [
            Rescaling(("first.weight", "first.bias"), ("second.weight",)),
            Rescaling(("second.weight", "second.bias"), ("head.weight",)),
        ]


def plain(width: int = 5) -> nn.Module:
    """Return networks without stated symmetries."""
    return nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 3))


def with_batch_norm() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))


def deep_batch_norm() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, stride=2),
        nn.BatchNorm2d(4),
        nn.Flatten(),
        nn.Linear(16, 3),
    )


def cumulative_batch_norm() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5, momentum=None), nn.Linear(5, 3))


def with_a_mask() -> nn.Module:
    module = nn.Sequential(nn.Linear(4, 3))
    module.register_buffer("mask", torch.ones(4, dtype=torch.bool))
    return module


def with_dropout() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.1), nn.Linear(5, 3))


def tied() -> nn.Module:
    first = nn.Linear(3, 3)
    return nn.Sequential(first, first)


def used_twice() -> nn.Module:
    shared = nn.Linear(5, 5)
    return nn.Sequential(nn.Linear(4, 5), shared, nn.ReLU(), shared, nn.Linear(5, 3))


class Repeated(nn.Module):
    """A hidden layer that runs twice, whose units may be permuted."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.Linear(4, 4), nn.Linear(4, 3)
        self.last = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.inner(x).relu()) + self.last(self.inner(2 * x).relu())

    def permutation_spec(self) -> dict[str, tuple[str | None, ...]]:
        return {
            "inner.weight": ("hidden", None),
            "inner.bias": ("hidden",),
            "head.weight": (None, "hidden"),
            "head.bias": (None,),
            "last.weight": (None, "hidden"),
            "last.bias": (None,),
        }


def no_module() -> int:
    return 3
