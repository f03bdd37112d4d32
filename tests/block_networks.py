"""Networks whose permutations act on blocks of axes, with the symmetries that they have."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dwf_steps.symmetry.spec import PermutationSpec

UNMOVED = (None, None, None)


class Flattened(nn.Module):
    """Channels that a flatten spreads over blocks of a linear layer's inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.c, self.f, self.o = nn.Conv2d(1, 8, 5), nn.Linear(32, 16), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.o(F.relu(self.f(F.max_pool2d(F.relu(self.c(x)), 2).flatten(1))))

    def permutation_spec(self) -> PermutationSpec:
        return {
            "c.weight": ("c", *UNMOVED),
            "c.bias": ("c",),
            "f.weight": ("f", ("c", 4)),
            "f.bias": ("f",),
            "o.weight": (None, "f"),
            "o.bias": (None,),
        }


class Grouped(nn.Module):
    """A convolution of two groups: groups are permuted, and channels within all groups alike."""

    def __init__(self) -> None:
        super().__init__()
        self.c, self.g = nn.Conv2d(1, 6, 3), nn.Conv2d(6, 8, 3, groups=2)
        self.o = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.o(F.relu(self.g(F.relu(self.c(x)))).mean((2, 3)))

    def permutation_spec(self) -> PermutationSpec:
        return {
            "c.weight": (("groups", "in"), *UNMOVED),
            "c.bias": (("groups", "in"),),
            "g.weight": (("groups", "out"), "in", None, None),
            "g.bias": (("groups", "out"),),
            "o.weight": (None, ("groups", "out")),
            "o.bias": (None,),
        }


class Depthwise(nn.Module):
    """Every channel is convolved by itself, to two of them."""

    def __init__(self) -> None:
        super().__init__()
        self.c, self.d = nn.Conv2d(1, 5, 3), nn.Conv2d(5, 10, 3, groups=5, bias=False)
        self.n, self.o = nn.BatchNorm2d(10), nn.Linear(10, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.o(F.relu(self.n(self.d(F.relu(self.c(x))))).mean((2, 3)))

    def permutation_spec(self) -> PermutationSpec:
        return {
            "c.weight": ("c", *UNMOVED),
            "c.bias": ("c",),
            "d.weight": (("c", "d"), *UNMOVED),
            "n.weight": (("c", "d"),),
            "n.bias": (("c", "d"),),
            "o.weight": (None, ("c", "d")),
            "o.bias": (None,),
        }


class Shuffled(nn.Module):
    """Channels that PixelShuffle turns into pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.c, self.d = nn.Conv2d(1, 20, 3), nn.Conv2d(5, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.d(F.gelu(F.pixel_shuffle(self.c(x), 2))).mean((2, 3))

    def permutation_spec(self) -> PermutationSpec:
        return {
            "c.weight": (("c", 4), *UNMOVED),
            "c.bias": (("c", 4),),
            "d.weight": (None, "c", None, None),
            "d.bias": (None,),
        }


class Joined(nn.Module):
    """Two layers side by side, read by one, and two units of the input beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.o = nn.Linear(64, 5), nn.Linear(64, 4), nn.Linear(11, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        return self.o(torch.cat([self.a(x).tanh(), self.b(x).relu(), x[:, :2]], dim=1))

    def permutation_spec(self) -> PermutationSpec:
        return {
            "a.weight": ("a", None),
            "a.bias": ("a",),
            "b.weight": ("b", None),
            "b.bias": ("b",),
            "o.weight": (None, ["a", "b", 2]),
            "o.bias": (None,),
        }


class Gated(nn.Module):
    """A recurrent layer: gates have the same units, which act on both axes of the recurrent matrix."""

    def __init__(self, kind: str = "GRU", gates: int = 3) -> None:
        super().__init__()
        self.r, self.o = getattr(nn, kind)(8, 6, batch_first=True), nn.Linear(6, 3)
        self._gates = gates

    def forward(self, x: Tensor) -> Tensor:
        return self.o(self.r(x.flatten(1, 2))[0][:, -1])

    def permutation_spec(self) -> PermutationSpec:
        units = (self._gates, "r") if self._gates > 1 else "r"
        return {
            "r.weight_ih_l0": (units, None),
            "r.weight_hh_l0": (units, "r"),
            "r.bias_ih_l0": (units,),
            "r.bias_hh_l0": (units,),
            "o.weight": (None, "r"),
            "o.bias": (None,),
        }


CASES = [
    ("Flattened", {}),
    ("Grouped", {}),
    ("Depthwise", {}),
    ("Shuffled", {}),
    ("Joined", {}),
    ("Gated", {}),
    ("Gated", {"kind": "LSTM", "gates": 4}),
    ("Gated", {"kind": "RNN", "gates": 1}),
]
