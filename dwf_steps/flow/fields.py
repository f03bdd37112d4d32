"""Velocity networks as the configuration describes them, and the velocity fields that they define."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from dwf_steps.config.generators.velocity import AnyVelocity, UnitTransformerConfig, VelocityConfig
from dwf_steps.flow.graph import NetworkSpec
from dwf_steps.flow.relational import RelationalTransformer
from dwf_steps.flow.transformer import UnitTransformer
from dwf_steps.flow.velocity import Embedding, TimeEmbedding, VelocityMLP
from dwf_steps.geometry.euclidean import EUCLIDEAN
from dwf_steps.geometry.manifold import Manifold
from dwf_steps.runtime.memory import in_halves

Result = TypeVar("Result")
Field = Callable[[Tensor, Tensor], Tensor]
"""Maps times (b, 1) and points (b, k) to velocities (b, k)."""

LAST = 1e-3  # smallest remaining time 1 - t by which predicted endpoints are divided


def build_velocity(
    dimension: int,
    config: AnyVelocity,
    network: NetworkSpec | None,
    embedding: Embedding = TimeEmbedding,
    present: Tensor | None = None,
) -> nn.Module:
    """Build an untrained velocity network.

    Parameters
    ----------
    dimension
        Number of latents.
    config
        The architecture.
    network
        Layout of a network's weights or response coordinates, for architectures that need it.
    embedding
        Builds the embedding of times, or of times and conditions.
    present
        Which latents the networks of each zoo have, (zoos, k) bool; by default all.

    Returns
    -------
    A module that maps times (b, 1), or times and conditions (b, 2), and points (b, k) to (b, k); with
    ``present`` times, conditions and the numbers of zoos (b, 3).

    Raises
    ------
    ValueError
        If the architecture needs whole networks and ``network`` is None.
    """
    if present is not None:
        return MaskedNetwork(build_velocity(dimension, config, network, embedding), present)
    if isinstance(config, VelocityConfig):
        return VelocityMLP(dimension, config, embedding)
    if network is None:
        raise ValueError("a transformer over units needs whole networks: use a subspace of method 'none'")
    if isinstance(config, UnitTransformerConfig):
        return UnitTransformer(network.tokens(config.positions), config, embedding)
    return RelationalTransformer(network.layers(), config, embedding)


class MaskedNetwork(nn.Module):
    """A velocity network over networks of several widths, in which absent weights are masked and do not move.

    Parameters
    ----------
    network
        The velocity network over all latents.
    present
        Which latents the networks of each zoo have, (zoos, k) bool.
    """

    present: Tensor

    def __init__(self, network: nn.Module, present: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("present", present.contiguous())

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        """Return velocities (b, k) at times, conditions and zoos' indices (b, 3), and points (b, k)."""
        present = present_of(self.present, t[:, 2:])
        known = (present,) if isinstance(self.network, UnitTransformer) else ()
        outputs: Tensor = self.network(t[:, :2], x * present, *known)
        return outputs * present


def present_of(present: Tensor, zoos: Tensor) -> Tensor:
    """Look up which latents networks have.

    Parameters
    ----------
    present
        Which latents the networks of each zoo have, (zoos, k) bool.
    zoos
        Indices of the networks' zoos, (b, 1).

    Returns
    -------
    (b, k) bool.
    """
    return present[zoos[:, 0].long()]


@dataclass(frozen=True)
class Batch:
    """Points of a probability path.

    Attributes
    ----------
    t
        Times (b, 1), or times and standardised conditions (b, 2); of networks of several widths also the
        numbers of their zoos, (b, 3).
    x
        Points, (b, k).
    u
        Target velocities, (b, k).
    x1
        Endpoints, (b, k).
    """

    t: Tensor
    x: Tensor
    u: Tensor
    x1: Tensor


@dataclass(frozen=True)
class VelocityField:
    """A network's predictions as velocities tangent to a ``manifold``.

    The network is evaluated at times (b, 1), or times and conditions (b, 2), and points (b, k).
    """

    network: nn.Module
    prediction: Literal["velocity", "endpoint"] = "velocity"
    manifold: Manifold = EUCLIDEAN

    def __call__(self, t: Tensor, x: Tensor) -> Tensor:
        """Return velocities (b, k).

        A predicted endpoint y gives log_x(y) / (1 - t), with y projected to the manifold; (y - x) / (1 - t)
        in flat space.
        """
        outputs = self._outputs(t, x)
        if self.prediction == "velocity":
            return self.manifold.tangent(x, outputs)
        return self.manifold.log(x, self.manifold.project(outputs)) / (1 - t[:, :1]).clamp(min=LAST)

    @property
    def evaluations(self) -> int:
        """Return the number of network evaluations per velocity."""
        return 1

    def residual(self, batch: Batch) -> Tensor:
        """Return the errors (b, k) of velocities or endpoints; the loss is their mean square."""
        if self.prediction == "endpoint":
            return self._outputs(batch.t, batch.x) - batch.x1
        return self(batch.t, batch.x) - batch.u

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean over batch and coordinates of the squared `residual`."""
        return self.residual(batch).square().mean()

    def backward(self, batch: Batch) -> Tensor:
        """Set the network's gradients to those of the loss, and return the loss.

        Gradients are accumulated over chunks of the network's ``chunk_size`` points. The chunk size is
        halved, and stays so, when the device is out of memory.
        """
        return self._in_chunks(len(batch.x), lambda points: self._backward(batch, points))

    def _backward(self, batch: Batch, chunk_size: int) -> Tensor:
        self.network.zero_grad(set_to_none=True)
        size, total = len(batch.x), torch.zeros((), device=batch.x.device)
        for start in range(0, size, chunk_size):
            part = Batch(*(value[start : start + chunk_size] for value in vars(batch).values()))
            loss = self.loss(part) * (len(part.x) / size)
            loss.backward()
            total += loss.detach()
        return total

    def _outputs(self, t: Tensor, x: Tensor) -> Tensor:
        """Return the network's outputs at all points, computed in chunks unless gradients are enabled."""
        if torch.is_grad_enabled():
            outputs: Tensor = self.network(t, x)
            return outputs

        def run(points: int) -> Tensor:
            parts = zip(t.split(points), x.split(points), strict=True)
            return torch.cat([self.network(time, some) for time, some in parts])

        return self._in_chunks(len(x), run)

    def _in_chunks(self, size: int, run: Callable[[int], Result]) -> Result:
        """Call ``run`` with the network's ``chunk_size``, halved until a chunk fits into memory."""
        chunk_size = max(1, min(size, int(getattr(self.network, "chunk_size", size))))
        result, fitting = in_halves(chunk_size, run, "points")
        if fitting < chunk_size:
            self.network.chunk_size = fitting  # type: ignore[assignment]
        return result


@dataclass(frozen=True)
class ConditionalField(VelocityField):
    """Classifier-free guidance: (1 + w) v(t, x | c) - w v(t, x).

    It follows Ho & Salimans (2022, arXiv 2207.12598), with velocities in place of scores.

    Attributes
    ----------
    condition
        c, standardised: (b, 1), or (1, 1) for all points; NaN for no condition.
    weight
        w; at 0 the unconditional velocity is not evaluated.
    """

    condition: Tensor = field(default_factory=lambda: torch.full((1, 1), torch.nan))
    weight: float = 0.0

    @property
    def evaluations(self) -> int:
        return 2 if self.weight else 1

    def __call__(self, t: Tensor, x: Tensor) -> Tensor:
        """Return velocities (b, k) at times (b, 1)."""
        condition = self.condition.to(t).expand(len(t), 1)
        zoos = [condition] if isinstance(self.network, MaskedNetwork) else []
        conditional = super().__call__(torch.cat([t, condition, *zoos], dim=1), x)
        if not self.weight:
            return conditional
        nothing = torch.full_like(t, torch.nan)
        unconditional = super().__call__(torch.cat([t, nothing, *zoos], dim=1), x)
        return (1 + self.weight) * conditional - self.weight * unconditional
