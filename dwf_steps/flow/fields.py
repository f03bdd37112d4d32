"""The velocity network that a configuration asks for, and the velocity field that it stands for."""

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
        outputs = self._outputs(t, x)
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
            return self._outputs(batch.t, batch.x) - batch.x1
        return self(batch.t, batch.x) - batch.u

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean over batch and coordinates of the squared `residual`."""
        return self.residual(batch).square().mean()

    def backward(self, batch: Batch) -> Tensor:
        """Set the network's gradients to the loss's, in chunks of its ``chunk_size`` points; return the loss.

        Where the device's memory is not enough chunks are half as large, from then on."""
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
        """Return what the network says at all points, in chunks where no gradient is asked for."""
        if torch.is_grad_enabled():
            outputs: Tensor = self.network(t, x)
            return outputs

        def run(points: int) -> Tensor:
            parts = zip(t.split(points), x.split(points), strict=True)
            return torch.cat([self.network(time, some) for time, some in parts])

        return self._in_chunks(len(x), run)

    def _in_chunks(self, size: int, run: Callable[[int], Result]) -> Result:
        """Return what ``run`` returns for chunks of the network's ``chunk_size`` points; that is halved where
        the device's memory is not enough."""
        chunk_size = max(1, min(size, int(getattr(self.network, "chunk_size", size))))
        result, fitting = in_halves(chunk_size, run, "points")
        if fitting < chunk_size:
            self.network.chunk_size = fitting  # type: ignore[assignment]
        return result


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
