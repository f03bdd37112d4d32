"""The velocity network that a configuration asks for, and the velocity field that it stands for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from dwf_steps.config.generators.flow import AnyVelocity, UnitTransformerConfig, VelocityConfig
from dwf_steps.flow.graph import NetworkSpec
from dwf_steps.flow.relational import RelationalTransformer
from dwf_steps.flow.transformer import UnitTransformer
from dwf_steps.flow.velocity import Embedding, TimeEmbedding, VelocityMLP
from dwf_steps.geometry.euclidean import EUCLIDEAN
from dwf_steps.geometry.manifold import Manifold

Field = Callable[[Tensor, Tensor], Tensor]
"""Of times (b, 1) and points (b, k), velocities (b, k)."""

LAST = 1e-3  # of the time that is left, at which endpoints are still turned into velocities


def build_velocity(
    dimension: int, config: AnyVelocity, network: NetworkSpec | None, embedding: Embedding = TimeEmbedding
) -> nn.Module:
    """Return an untrained velocity network over ``dimension`` latents, given what the ``embedding`` is of:
    times, or times and conditions.

    Raises
    ------
    ValueError
        If it is to know units, and the latents are no whole networks.
    """
    if isinstance(config, VelocityConfig):
        return VelocityMLP(dimension, config, embedding)
    if network is None:
        raise ValueError("a transformer over units needs whole networks: use a subspace of method 'none'")
    if isinstance(config, UnitTransformerConfig):
        return UnitTransformer(network.tokens(config.positions), config, embedding)
    return RelationalTransformer(network.layers(), config, embedding)


@dataclass(frozen=True)
class Batch:
    """Points of the path: times ``t`` (b, 1), or times and standardised conditions (b, 2), ``x`` (b, k),
    target velocities ``u`` and ends ``x1``, each (b, k)."""

    t: Tensor
    x: Tensor
    u: Tensor
    x1: Tensor


@dataclass(frozen=True)
class VelocityField:
    """A network's predictions at times (b, 1), or times and conditions (b, 2), and points (b, k) as
    velocities tangent to ``manifold``."""

    network: nn.Module
    prediction: Literal["velocity", "endpoint"] = "velocity"
    manifold: Manifold = EUCLIDEAN

    def __call__(self, t: Tensor, x: Tensor) -> Tensor:
        """Return velocities (b, k). That of a predicted endpoint y is log_x(y) / (1 - t), with y projected to
        the manifold; in flat space (y - x) / (1 - t)."""
        outputs: Tensor = self.network(t, x)
        if self.prediction == "velocity":
            return self.manifold.tangent(x, outputs)
        return self.manifold.log(x, self.manifold.project(outputs)) / (1 - t[:, :1]).clamp(min=LAST)

    @property
    def evaluations(self) -> int:
        """Return how often the network is evaluated for a velocity."""
        return 1

    def residual(self, batch: Batch) -> Tensor:
        """Return what the loss is the mean square of, (b, k): the error of velocities, or of endpoints."""
        if self.prediction == "endpoint":
            outputs: Tensor = self.network(batch.t, batch.x)
            return outputs - batch.x1
        return self(batch.t, batch.x) - batch.u

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean over batch and coordinates of the squared `residual`."""
        return self.residual(batch).square().mean()

    def backward(self, batch: Batch) -> Tensor:
        """Add the loss's gradients to the network's, in chunks of its ``chunk_size`` points; return the
        loss."""
        size = len(batch.x)
        chunk_size = int(getattr(self.network, "chunk_size", size))
        total = torch.zeros((), device=batch.x.device)
        for start in range(0, size, chunk_size):
            part = Batch(*(value[start : start + chunk_size] for value in vars(batch).values()))
            loss = self.loss(part) * (len(part.x) / size)
            loss.backward()
            total += loss.detach()
        return total


@dataclass(frozen=True)
class ConditionalField(VelocityField):
    """(1 + w) v(t, x | c) - w v(t, x) of a network that is given conditions beside times: classifier-free
    guidance (Ho & Salimans 2022, arXiv 2207.12598), with velocities in the place of scores.

    Attributes
    ----------
    condition
        c, standardised, (b, 1), or (1, 1) for all points; NaN is no condition.
    weight
        w; with 0 the unconditional velocity is not evaluated.
    """

    condition: Tensor = field(default_factory=lambda: torch.full((1, 1), torch.nan))
    weight: float = 0.0

    @property
    def evaluations(self) -> int:
        return 2 if self.weight else 1

    def __call__(self, t: Tensor, x: Tensor) -> Tensor:
        """Return velocities (b, k) at times (b, 1)."""
        condition = self.condition.to(t).expand(len(t), 1)
        conditional = super().__call__(torch.cat([t, condition], dim=1), x)
        if not self.weight:
            return conditional
        nothing = torch.full_like(t, torch.nan)
        unconditional = super().__call__(torch.cat([t, nothing], dim=1), x)
        return (1 + self.weight) * conditional - self.weight * unconditional
