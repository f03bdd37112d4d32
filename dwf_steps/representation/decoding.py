"""From response coordinates to weights, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from dwf_steps.representation.matching import Loss, NextInputLoss, SoftmaxLoss
from dwf_steps.representation.responses import ResponseBasis, probe_blocks
from dwf_steps.representation.tracing import Capture, Layer, Normalisation
from dwf_steps.storage.stacked import StackedNetworks

INPUTS_BYTES = 2**28


@dataclass(frozen=True)
class Decoder:
    """How targets are met.

    Attributes
    ----------
    ridge
        Penalty on weights, relative to the mean square of a layer's inputs, summed over rows.
    matching
        ``pre_activations``: least squares on responses. ``activations``: hidden layers match what the next
        layer receives, the last one the softmax.
    iterations
        Reweighted least squares problems that are solved for it.
    softmax
        Whether outputs are logits.
    """

    ridge: float = 1e-3
    matching: Literal["activations", "pre_activations"] = "activations"
    iterations: int = 10
    cg: int = 4
    softmax: bool = True

    @torch.no_grad()
    def decode(
        self,
        capture: Capture,
        basis: ResponseBasis,
        coordinates: Tensor,
        buffers: StackedNetworks[Tensor],
    ) -> StackedNetworks[Tensor]:
        """Return the networks of n rows of coordinates (n, d')."""
        parts = {
            entry.name: coordinates[:, entry.columns].reshape(-1, *entry.shape)
            for entry in basis.layout.entries
        }
        n = len(coordinates)
        networks: StackedNetworks[Tensor] = StackedNetworks()
        for name, shape in basis.shapes.items():
            networks[name] = (
                parts[name].float().clone()
                if name in basis.trace.kept
                else coordinates.new_zeros((n, *shape), dtype=torch.float32)
            )
        networks |= buffers
        for step in basis.trace.steps:
            if isinstance(step, Normalisation):
                self._normalise(capture, networks, step)
            else:
                functions = basis.functions[step.name]
                target = functions @ parts[step.name].double().transpose(1, 2) * len(functions) ** 0.5
                self._fit(capture, networks, step, target)
        return networks

    def _normalise(self, capture: Capture, networks: StackedNetworks[Tensor], norm: Normalisation) -> None:
        blocks = probe_blocks(capture, networks.count)
        found = [capture.moments(networks, norm, probes) for probes in blocks]
        count = sum(number for _, _, number in found)
        mean = torch.stack([total for total, _, _ in found]).sum(0) / count
        squares = torch.stack([squares for _, squares, _ in found]).sum(0) / count
        variance = (squares - mean.square()).clamp(min=0) * (count / max(1, count - 1))
        networks[norm.mean] = mean.float()
        networks[norm.variance] = variance.float()

    def _fit(self, capture: Capture, networks: StackedNetworks[Tensor], layer: Layer, target: Tensor) -> None:
        seen = networks.select([0]) if layer.reads_data else networks
        blocks = [
            _with_ones(capture.inputs(seen, layer, probes).double(), layer)
            for probes in probe_blocks(capture, seen.count)
        ]
        target = target.unflatten(2, (layer.groups, -1)).transpose(1, 2)  # (n, groups, rows, units)
        problem = Problem(blocks, target, self.ridge, layer.bias is not None)
        solution = problem.least_squares()
        loss = self._loss(layer, networks, target)
        if loss is not None:
            solution = problem.reweighted(solution, loss, self.iterations, self.cg)
        solution = solution.transpose(2, 3).flatten(1, 2).float()  # (n, units, fan_in + 1)
        networks[layer.weight] = solution[..., : layer.fan_in].reshape_as(networks[layer.weight])
        if layer.bias is not None:
            networks[layer.bias] = solution[..., -1]

    def _loss(self, layer: Layer, networks: StackedNetworks[Tensor], target: Tensor) -> Loss | None:
        if self.matching == "pre_activations" or layer.reads_data:
            return None
        if layer.is_output:
            return SoftmaxLoss() if self.softmax else None
        if layer.activation is None:
            return None
        norm = layer.normalisation
        if norm is None:
            return NextInputLoss(layer.activation)
        mean, std = target.mean(2, keepdim=True), target.std(2, keepdim=True)
        shape = (len(target), layer.groups, 1, -1)
        scale = (
            networks[norm.weight].double().reshape(shape) / (std + norm.epsilon) if norm.weight else 1 / std
        )
        shift = networks[norm.bias].double().reshape(shape) - mean * scale if norm.bias else -mean * scale
        return NextInputLoss(layer.activation, scale, shift)


def _with_ones(inputs: Tensor, layer: Layer) -> Tensor:
    return inputs if layer.bias is None else torch.cat([inputs, torch.ones_like(inputs[..., :1])], dim=-1)


class Problem:
    """Least squares problems of n networks: W (n, groups, fan_in, units) with A W near T.

    Parameters
    ----------
    blocks
        A in ranges of rows, each (n or 1, groups, rows, fan_in).
    target
        T (n, groups, rows, units).
    """

    def __init__(self, blocks: list[Tensor], target: Tensor, ridge: float, has_bias: bool) -> None:
        self._blocks, self._target = blocks, target
        gram = sum(block.transpose(2, 3) @ block for block in blocks)
        assert isinstance(gram, Tensor)
        penalised = torch.ones(gram.shape[-1], dtype=gram.dtype, device=gram.device)
        if has_bias:
            penalised[-1] = 0
        diagonal = gram.diagonal(dim1=2, dim2=3)
        strength = ridge * (diagonal * penalised).sum(2) / penalised.sum().clamp(min=1)
        strength = torch.where(strength > 0, strength, 1.0)
        self._penalty = strength[..., None] * penalised
        self._factor = torch.linalg.cholesky(gram + torch.diag_embed(self._penalty))

    def _rows(self) -> Iterator[tuple[Tensor, slice]]:
        start = 0
        for block in self._blocks:
            yield block, slice(start, start + block.shape[2])
            start += block.shape[2]

    def _adjoint(self, values: Tensor) -> Tensor:
        return sum(block.transpose(2, 3) @ values[:, :, rows] for block, rows in self._rows())  # type: ignore[return-value]

    def _apply(self, weights: Tensor) -> Tensor:
        return torch.cat([block @ weights for block in self._blocks], dim=2)

    def _solve(self, right: Tensor) -> Tensor:
        return torch.cholesky_solve(right, self._factor.expand(len(right), -1, -1, -1))

    def least_squares(self) -> Tensor:
        """Return the W that minimise |A W - T|^2 + penalty |W|^2."""
        return self._solve(self._adjoint(self._target))

    def reweighted(self, start: Tensor, loss: Loss, iterations: int, cg: int) -> Tensor:
        """Return W after Gauss-Newton steps on a loss of A W and T, each solved by ``cg`` steps of
        preconditioned conjugate gradients."""
        weights, responses = start, self._apply(start)
        current = loss.value(responses, self._target)
        for _ in range(iterations):
            gradient, curvature = loss.expand(responses, self._target)
            right = -self._adjoint(gradient) - self._penalty[..., None] * (weights - start)
            step, moved = self._conjugate_gradients(right, curvature, cg)
            size = torch.ones(len(weights), 1, 1, 1, dtype=weights.dtype, device=weights.device)
            for _ in range(5):
                value = loss.value(responses + size * moved, self._target)
                worse = value > current
                if not worse.any():
                    break
                size = torch.where(worse[:, None, None, None], size / 2, size)
            value = loss.value(responses + size * moved, self._target)
            size = torch.where((value > current)[:, None, None, None], 0.0, size)
            current = torch.minimum(value, current)
            weights, responses = weights + size * step, responses + size * moved
        return weights

    def _conjugate_gradients(
        self, right: Tensor, curvature: Callable[[Tensor], Tensor], steps: int
    ) -> tuple[Tensor, Tensor]:
        """Solve (A' H A + penalty) D = right, and return D and A D."""
        solution = torch.zeros_like(right)
        moved = torch.zeros_like(self._target)
        residual = right
        z = self._solve(residual)
        direction, rz = z, (residual * z).sum((1, 2, 3), keepdim=True)
        for _ in range(steps):
            along = self._apply(direction)
            product = self._adjoint(curvature(along)) + self._penalty[..., None] * direction
            denominator = (direction * product).sum((1, 2, 3), keepdim=True)
            size = torch.where(denominator > 0, rz / denominator, 0.0)
            solution, moved = solution + size * direction, moved + size * along
            residual = residual - size * product
            z = self._solve(residual)
            new = (residual * z).sum((1, 2, 3), keepdim=True)
            direction = z + torch.where(rz > 0, new / rz, 0.0) * direction
            rz = new
        return solution, moved
