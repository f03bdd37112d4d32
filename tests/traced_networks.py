"""Networks whose layers are found in other ways, and some whose layers cannot be."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Written(nn.Module):
    """An MLP written out in functions and methods, with its own parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(5, 4))
        self.second = nn.Parameter(torch.randn(6, 5))
        self.third = nn.Parameter(torch.randn(3, 6))
        self.offset = nn.Parameter(torch.randn(3))
        self.gain = nn.Parameter(torch.ones(6))

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.linear(x, self.first).tanh()
        hidden = F.leaky_relu(F.linear(hidden, weight=self.second), 0.3) * self.gain
        return F.linear(hidden, self.third, bias=self.offset)


class Convolutions(nn.Module):
    """One of every kind of convolution, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.plain = nn.Conv2d(2, 4, 3)
        self.grouped = nn.Conv2d(4, 6, (3, 1), groups=2, padding=(1, 0))
        self.same = nn.Conv2d(6, 4, (2, 3), padding="same")
        self.dilated = nn.Conv2d(4, 4, 3, dilation=2, padding=2, bias=False)
        self.strided = nn.Conv2d(4, 4, 3, stride=(2, 1), padding=1)
        self.small = nn.Conv2d(4, 3, 1, stride=2)
        self.depthwise = nn.Conv2d(3, 3, 2, groups=3, padding="valid")
        self.line = nn.Conv1d(3, 4, 3, stride=2, padding=1, dilation=2)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.plain(x))
        x = F.gelu(self.grouped(x), approximate="tanh")
        x = F.elu(self.same(x), 0.5, True)
        x = F.relu(self.dilated(x), inplace=True)
        x = self.small(self.strided(x).sigmoid())
        x = F.max_pool2d(self.depthwise(x).relu(), 1)
        x = F.silu(self.line(x.flatten(2)))
        return self.head(x.mean(dim=2))


class Frames(nn.Module):
    """Three images of an example beside each other, which one convolution and one linear layer read."""

    def __init__(self, images_first: bool = False) -> None:
        super().__init__()
        self.images_first = images_first
        self.stem = nn.Conv2d(2, 4, 3, stride=2)
        self.mixed = nn.Linear(4, 5)
        self.head = nn.Linear(15, 3)

    def forward(self, x: Tensor) -> Tensor:
        if self.images_first:
            x = x.transpose(0, 1)
        lead = x.shape[:2]
        x = self.stem(x.flatten(0, 1)).relu().mean((2, 3))
        x = self.mixed(x).relu().unflatten(0, lead)
        return self.head((x.transpose(0, 1) if self.images_first else x).flatten(1))


class Residual(nn.Module):
    """Blocks whose responses are read once, twice, or after an activation in place."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.block = nn.Linear(4, 4), nn.Linear(4, 4)
        self.twice, self.listed, self.inplace = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(8, 4)
        self.split, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        stream = self.stem(x)
        stream = stream + self.block(stream.relu())
        both = self.twice(stream)
        stream = both.relu() + both.tanh()
        listed = self.listed(stream)
        stream = torch.cat([listed, listed.relu()], dim=1)
        inplace = F.relu(self.inplace(stream), inplace=True)
        halves = self.split(inplace)
        first, _ = halves.chunk(2, dim=1)
        return self.head(inplace + halves.relu() + first.sum(1, keepdim=True))


class Tied(nn.Module):
    """A head that is the embedding, and two layers that share a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.inner = nn.Linear(4, 4)
        self.shared = nn.Parameter(torch.randn(4))
        self.left, self.right = nn.Parameter(torch.randn(4, 4)), nn.Parameter(torch.randn(4, 4))
        self.offset = nn.Parameter(torch.zeros(7))
        self.head = nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.embedding(x.abs().long().clamp(max=6)).mean(1)
        hidden = self.inner(hidden).relu()
        hidden = F.linear(F.linear(hidden, self.left, self.shared), self.right, self.shared)
        return self.head(F.linear(hidden, self.embedding.weight, self.offset))


class Normalised(nn.Module):
    """Batch normalisation before and after an activation, of images and of vectors, and of inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs = nn.BatchNorm2d(2)
        self.first, self.first_norm = nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4)
        self.second, self.second_norm = nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4, affine=False)
        self.third, self.third_norm = nn.Linear(4, 5), nn.BatchNorm1d(5)
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first_norm(self.first(self.inputs(x))).relu()
        x = self.second_norm(self.second(x).relu())
        return self.head(F.gelu(self.third_norm(self.third(x.mean((2, 3))))))


class Attending(nn.Module):
    """Attention of a sequence to itself, by torch's own module with examples as its second axis, and to
    another."""

    def __init__(self) -> None:
        super().__init__()
        self.own = nn.MultiheadAttention(4, 2)
        self.other = nn.MultiheadAttention(4, 2, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.transpose(0, 1)
        tokens = tokens + self.own(tokens, tokens, tokens, need_weights=False)[0]
        tokens = tokens.transpose(0, 1)
        return self.head((tokens + self.other(tokens, x, x, need_weights=False)[0]).mean(1))


class Unseen(nn.Module):
    """Layers on which what is read does not depend, and one whose inputs are zero when it is new."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 3)
        nn.init.zeros_(self.first.weight)
        nn.init.zeros_(self.first.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).relu()) + self.first.bias.sum()


class Branching(nn.Module):
    """A layer that large inputs alone reach."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 3)
        self.extra = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x)
        if x.shape[0] != 5:
            hidden = self.extra(hidden)
        return self.second(hidden)


class NoLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


class Mixing(nn.Module):
    """Lets examples see each other."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x.flip(0).cumsum(0).repeat(2, 1)))[: len(x)]


class Tokens(nn.Module):
    """Takes tokens alone, of which there are two."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(2, 4)
        self.inner, self.head = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.inner(self.embedding(x.long())).relu().mean(1))


def layer_normalised() -> nn.Module:
    """Return a network whose first layer's units are mixed before the second layer reads them."""
    return nn.Sequential(nn.Linear(4, 5), nn.LayerNorm(5), nn.ReLU(), nn.Linear(5, 3))


class Failing(nn.Module):
    """Fails on three examples."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x)
        if len(x) == 3:
            raise KeyError("three")
        return self.second(hidden)


def twice() -> nn.Module:
    first = nn.Linear(4, 4)
    return nn.Sequential(first, nn.ReLU(), first, nn.Linear(4, 3))


def linear() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 4), nn.Identity(), nn.Linear(4, 3), nn.Linear(3, 3))
