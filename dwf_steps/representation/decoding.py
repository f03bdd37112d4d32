"""Decoding of response coordinates to weights, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from dwf_steps.config.representation import Decoding
from dwf_steps.representation.capture import Capture, summed
from dwf_steps.representation.layers import Layer, Normalisation, TracedStep
from dwf_steps.representation.loading import Probed, load_basis
from dwf_steps.representation.matching import Curvature, Loss, NextInputLoss, SoftmaxLoss
from dwf_steps.representation.responses import ResponseBasis, all_inputs, probe_blocks
from dwf_steps.runtime.memory import in_halves
from dwf_steps.storage.stacked import StackedNetworks

DEEP = 6
"""With more steps than this, running many networks up to each step costs more than decoding one by one."""
LIVE_ACTIVATIONS = 4
"""Approximate number of activations of a layer's size that a forward pass holds at the same time."""
ONE_PASS_BYTES = 2**30
HALVINGS = 5
"""How often a step that increases the loss is halved before it is dropped."""
COPIES_OF_RESPONSES = 10
"""Arrays (rows, units) that conjugate gradients hold at the same time, in float64."""
COPIES_OF_GRAM = 4
"""Arrays (fan_in, fan_in): the Gram matrix, its factor, and LAPACK's copies of both."""
COPIES_OF_WEIGHTS = 8


@dataclass(frozen=True, eq=False)
class Decoder:
    """Finds weights whose responses are close to those of given coordinates.

    Layers that read the data have the same inputs in every network, and least squares are linear in their
    targets. What every response function contributes to their weights is therefore computed once, however
    many networks are decoded.

    Attributes
    ----------
    capture
        Runs the networks on the probes.
    basis
        The response functions of every layer.
    ridge
        Penalty on weights, relative to the mean square of a layer's inputs, summed over rows.
    matching
        ``pre_activations`` for least squares on responses; ``activations`` if hidden layers match the input
        of the next layer, and the last layer the softmax.
    iterations
        The number of reweighted least squares problems that ``activations`` solves per layer.
    cg
        Steps of conjugate gradients for each of them.
    softmax
        Whether outputs are logits of classes.
    """

    capture: Capture
    basis: ResponseBasis
    ridge: float = 1e-3
    matching: Literal["activations", "pre_activations"] = "activations"
    iterations: int = 3
    cg: int = 3
    softmax: bool = True
    _solutions: dict[str, Tensor] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def load(cls, settings: Decoding, probed: Probed, basis: Path) -> Decoder:
        """Read the response basis of probed networks.

        Parameters
        ----------
        settings
            How weights are found.
        probed
            The networks' layers and the probes.
        basis
            ``responses.npz``, the response basis.

        Raises
        ------
        InputError
            If the file is damaged.
        """
        functions = load_basis(basis, probed)
        return cls(probed.capture, functions, **settings.model_dump(), softmax=probed.softmax)

    @torch.no_grad()
    def decode(self, coordinates: Tensor, buffers: StackedNetworks[Tensor]) -> StackedNetworks[Tensor]:
        """Decode networks, fewer at a time if the device runs out of memory.

        Parameters
        ----------
        coordinates
            Coordinates of n networks, (n, d').
        buffers
            Their buffers, (n, *shape).

        Returns
        -------
        The n networks, with running statistics computed on the probes.
        """
        n = max(1, len(coordinates))

        def run(size: int) -> StackedNetworks[Tensor]:
            ranges = [slice(start, start + size) for start in range(0, n, size)]
            parts = [self._decode(coordinates[rows], buffers.select(rows)) for rows in ranges]
            if len(parts) == 1:
                return parts[0]
            return StackedNetworks({name: torch.cat([part[name] for part in parts]) for name in parts[0]})

        return in_halves(n, run, "networks")[0]

    def _decode(self, coordinates: Tensor, buffers: StackedNetworks[Tensor]) -> StackedNetworks[Tensor]:
        networks = self._begun(coordinates, buffers)
        if self.in_one_pass:
            for i in range(len(coordinates)):
                self._in_one_pass(coordinates, networks, i)
        else:
            self._in_steps(coordinates, networks, until=None)
        return networks

    @torch.no_grad()
    def decode_before(
        self, layer: Layer, coordinates: Tensor, buffers: StackedNetworks[Tensor]
    ) -> StackedNetworks[Tensor]:
        """Decode only the steps before a layer; later layers that do not read the data are zero.

        Parameters
        ----------
        layer
            The layer.
        coordinates, buffers
            See `decode`.

        Returns
        -------
        The n networks.
        """
        networks = self._begun(coordinates, buffers)
        self._in_steps(coordinates, networks, until=layer)
        return networks

    @property
    def in_one_pass(self) -> bool:
        """Whether networks are decoded one by one, each in a single forward pass over all probes.

        This applies to deep networks if a forward pass fits into memory. Other networks are run up to every
        step again, many at once, on some probes at a time.
        """
        activations = 4 * len(self.capture.probes) * self.capture.architecture.widest
        return len(self.basis.trace.steps) > DEEP and LIVE_ACTIVATIONS * activations <= ONE_PASS_BYTES

    def networks_at_once(self, budget: int) -> int:
        """Return the number of networks that may be decoded at a time within a memory budget.

        For each network, a layer needs its inputs (rows, fan_in + 1), their Gram matrix and its factor
        (fan_in + 1, fan_in + 1), and the responses (rows, units) and weights of the solver, in float64;
        layers that read the data only need weights. Networks that are decoded one by one only need their
        coordinates and weights.

        Parameters
        ----------
        budget
            In bytes. Memory that does not depend on the number of networks is part of it: response functions,
            and the inputs of layers that read the data, which all networks share.

        Returns
        -------
        The number of networks, at least 1.
        """
        basis = self.basis
        if self.in_one_pass:
            weights = sum(math.prod(shape) for shape in basis.shapes.values())
            return max(1, budget // (8 * (basis.layout.size + weights)))
        once = own = 0
        for layer in basis.trace.layers:
            rows, inputs = self.capture.rows(layer), layer.fan_in + 1
            gram = layer.groups * inputs * (2 * rows + COPIES_OF_GRAM * inputs)
            weights = COPIES_OF_WEIGHTS * inputs * layer.units
            if layer.reads_data:
                once, own = max(once, gram), max(own, weights)
            else:
                own = max(own, gram + weights + COPIES_OF_RESPONSES * rows * layer.units)
        shared = once + sum(functions.numel() for functions in basis.functions.values())
        return max(1, (budget - 8 * shared) // (8 * (own + 2 * basis.layout.size)))

    def target(self, layer: Layer, coordinates: Tensor) -> Tensor:
        """Return the responses that coordinates describe.

        Parameters
        ----------
        layer
            The layer.
        coordinates
            Coordinates of n networks, (n, d').

        Returns
        -------
        Responses, float64 (n, rows, units).
        """
        functions = self.basis.functions[layer.name]
        stated = self._stated(layer.name, coordinates).double()
        target: Tensor = functions @ stated.transpose(1, 2) * len(functions) ** 0.5
        return target

    def _stated(self, name: str, coordinates: Tensor) -> Tensor:
        """Return the coordinates of a layer or of a kept parameter, (n, *shape)."""
        entry = next(entry for entry in self.basis.layout.entries if entry.name == name)
        return coordinates[:, entry.columns].reshape(-1, *entry.shape)

    def _begun(self, coordinates: Tensor, buffers: StackedNetworks[Tensor]) -> StackedNetworks[Tensor]:
        """Return networks with kept parameters and layers that read the data; other layers are zero."""
        n = len(coordinates)
        networks = StackedNetworks(
            {
                name: coordinates.new_zeros((n, *shape), dtype=torch.float32)
                for name, shape in self.basis.shapes.items()
            }
        )
        for name in self.basis.trace.kept:
            networks[name].copy_(self._stated(name, coordinates))
        networks |= buffers.map(torch.clone)  # statistics are set in place
        for layer in self.basis.trace.layers:
            if layer.reads_data and n:
                stated = self._stated(layer.name, coordinates).double()
                grouped = _in_groups(layer, stated.transpose(1, 2))
                solutions = self._solutions_of(layer, networks)
                _set_weights(networks, slice(None), layer, _side_by_side(solutions.matmul, grouped))
        return networks

    def _solutions_of(self, layer: Layer, networks: StackedNetworks[Tensor]) -> Tensor:
        """Return the solution for each coordinate of a unit of a layer that reads the data.

        Its inputs are the same in all networks, so that solutions are linear in coordinates. They are
        computed once, on any of the networks.

        Returns
        -------
        float64 (groups, fan_in + 1, r).
        """
        if layer.name not in self._solutions:
            functions = self.basis.functions[layer.name]
            problem = self._problem(all_inputs(self.capture, layer, networks.select([0])), layer)
            target = functions.expand(1, layer.groups, *functions.shape) * len(functions) ** 0.5
            self._solutions[layer.name] = problem.least_squares(target)[0]
        return self._solutions[layer.name]

    def _in_steps(self, coordinates: Tensor, networks: StackedNetworks[Tensor], until: Layer | None) -> None:
        """Decode the steps before a layer, or all, in place, running all networks up to each step."""
        for step in self.basis.trace.steps:
            if step is until:
                break
            if isinstance(step, Normalisation):
                blocks = probe_blocks(self.capture, networks.count)
                found = [self.capture.moments(networks, step, probes) for probes in blocks]
                _set_statistics(networks, slice(None), step, found)
            elif not step.reads_data:
                self._fit(step, all_inputs(self.capture, step, networks), networks, slice(None), coordinates)

    def _in_one_pass(self, coordinates: Tensor, networks: StackedNetworks[Tensor], i: int) -> None:
        """Decode network ``i`` in one forward pass, in place: each layer is solved just before it runs."""
        steps: dict[str, TracedStep] = {
            step.weight if isinstance(step, Layer) else step.mean: step for step in self.basis.trace.steps
        }
        row = slice(i, i + 1)

        def on_inputs(name: str, values: Tensor) -> None:
            step = steps.get(name)
            if isinstance(step, Normalisation):
                total, squares, count = summed(values)
                _set_statistics(networks, row, step, [(total[None], squares[None], count)])
            elif step is not None and not step.reads_data:
                inputs = self.capture.rows_of(values, step)[None]
                self._fit(step, [inputs], networks, row, coordinates[row])

        self.capture.visit(networks.network(i), on_inputs)

    def _problem(self, inputs: list[Tensor], layer: Layer) -> Problem:
        return Problem(
            [layer.with_ones(block.double()) for block in inputs], self.ridge, layer.bias is not None
        )

    def _fit(
        self,
        layer: Layer,
        inputs: list[Tensor],
        networks: StackedNetworks[Tensor],
        rows: slice,
        coordinates: Tensor,
    ) -> None:
        """Solve for the weights of a layer in some of the networks, in place, given its inputs in them."""
        problem = self._problem(inputs, layer)
        target = _in_groups(layer, self.target(layer, coordinates))
        solution = problem.least_squares(target)
        loss = self._loss(layer, networks.select(rows), target)
        if loss is not None:
            solution = problem.reweighted(solution, target, loss, self.iterations, self.cg)
        _set_weights(networks, rows, layer, solution)

    def _loss(self, layer: Layer, networks: StackedNetworks[Tensor], target: Tensor) -> Loss | None:
        if self.matching == "pre_activations":
            return None
        if layer.is_output:
            return SoftmaxLoss() if self.softmax else None
        if layer.activation is None:
            return None
        norm = layer.normalisation
        if norm is None:
            return NextInputLoss(layer.activation)
        mean, variance = target.mean(2, keepdim=True), target.var(2, keepdim=True, correction=0)
        shape = (len(target), layer.groups, 1, -1)
        scale = (variance + norm.epsilon).rsqrt()
        scale = scale * networks[norm.weight].double().reshape(shape) if norm.weight else scale
        shift = networks[norm.bias].double().reshape(shape) - mean * scale if norm.bias else -mean * scale
        return NextInputLoss(layer.activation, scale.float(), shift.float())


def _in_groups(layer: Layer, values: Tensor) -> Tensor:
    """Return values of units (n, rows, units) as (n, groups, rows, units of a group)."""
    return values.unflatten(2, (layer.groups, -1)).transpose(1, 2)


def _set_weights(networks: StackedNetworks[Tensor], rows: slice, layer: Layer, solution: Tensor) -> None:
    """Set the weights of a layer in some networks, in place, to a solution (n, groups, fan_in + 1, units)."""
    solution = solution.transpose(2, 3).flatten(1, 2).float()  # (n, units, fan_in + 1)
    weights = networks[layer.weight][rows]
    weights.copy_(solution[..., : layer.fan_in].reshape_as(weights))
    if layer.bias is not None:
        networks[layer.bias][rows] = solution[..., -1]


def _set_statistics(
    networks: StackedNetworks[Tensor],
    rows: slice,
    norm: Normalisation,
    found: Sequence[tuple[Tensor, Tensor, int]],
) -> None:
    """Set running statistics of some networks, in place, given sums over ranges of probes."""
    count = sum(number for _, _, number in found)
    mean = torch.stack([total for total, _, _ in found]).sum(0) / count
    squares = torch.stack([squares for _, squares, _ in found]).sum(0) / count
    variance = (squares - mean.square()).clamp(min=0) * (count / max(1, count - 1))
    networks[norm.mean][rows] = mean.float()
    networks[norm.variance][rows] = variance.float()


class Problem:
    """Least squares problems of n networks: find weights W such that A W is close to targets T.

    W is (n, groups, fan_in, units), T is (n, groups, rows, units). Sums over rows are in float64; the steps
    of reweighted problems are in the precision of their loss.

    Parameters
    ----------
    blocks
        A in ranges of rows, each (n or 1, groups, rows, fan_in) float64.
    ridge
        Penalty on weights, relative to the mean over inputs of their summed squares.
    has_bias
        Whether the last input is a column of ones, whose weight is not penalised.
    """

    def __init__(self, blocks: list[Tensor], ridge: float, has_bias: bool) -> None:
        self._blocks = blocks
        gram = sum(block.transpose(2, 3) @ block for block in blocks)
        assert isinstance(gram, Tensor)
        penalised = torch.ones(gram.shape[-1], dtype=gram.dtype, device=gram.device)
        if has_bias:
            penalised[-1] = 0
        diagonal = gram.diagonal(dim1=2, dim2=3)
        strength = ridge * (diagonal * penalised).sum(2) / penalised.sum().clamp(min=1)
        strength = torch.where(strength > 0, strength, 1.0)
        self._penalty = strength[..., None] * penalised
        diagonal += self._penalty
        # The factor of a network that is not finite becomes NaN; the other networks are not affected.
        self._factor, failed = torch.linalg.cholesky_ex(gram)
        self._factor[failed > 0] = torch.nan

    def _in(self, dtype: torch.dtype) -> tuple[list[Tensor], Tensor, Tensor]:
        return [block.to(dtype) for block in self._blocks], self._factor.to(dtype), self._penalty.to(dtype)

    def least_squares(self, target: Tensor) -> Tensor:
        """Return the weights W that minimise |A W - T|^2 + penalty |W|^2."""
        return _solve(_adjoint(self._blocks, target), self._factor)

    def reweighted(self, start: Tensor, target: Tensor, loss: Loss, iterations: int, cg: int) -> Tensor:
        """Minimise a loss of A W and T by Gauss-Newton steps.

        Parameters
        ----------
        start
            Initial weights; the penalty is on the distance to them.
        target
            T.
        loss
            The loss; steps are in its precision.
        iterations
            The number of Gauss-Newton steps.
        cg
            Steps of preconditioned conjugate gradients for each of them.

        Returns
        -------
        Weights W, float64.
        """
        blocks, factor, penalty = self._in(loss.dtype)
        first, wanted = start.to(loss.dtype), target.to(loss.dtype)
        weights, responses = first, _apply(blocks, first)
        current = loss.value(responses, wanted)
        for _ in range(iterations):
            gradient, curvature = loss.expand(responses, wanted)
            right = -_adjoint(blocks, gradient) - penalty[..., None] * (weights - first)

            def system(direction: Tensor, curvature: Curvature = curvature) -> tuple[Tensor, Tensor]:
                along = _apply(blocks, direction)
                return _adjoint(blocks, curvature(along)) + penalty[..., None] * direction, along

            step, moved = _conjugate_gradients(system, right, lambda right: _solve(right, factor), cg)
            size, value = weights.new_ones(len(weights), 1, 1, 1), loss.value(responses + moved, wanted)
            for _ in range(HALVINGS):
                worse = value > current
                if not worse.any():
                    break
                size = torch.where(worse[:, None, None, None], size / 2, size)
                value = loss.value(responses + size * moved, wanted)
            size = torch.where((value > current)[:, None, None, None], 0.0, size)
            current = torch.minimum(value, current)
            weights, responses = weights + size * step, responses + size * moved
        return start + (weights - first).double()


def _conjugate_gradients(
    system: Callable[[Tensor], tuple[Tensor, Tensor]],
    right: Tensor,
    precondition: Callable[[Tensor], Tensor],
    steps: int,
) -> tuple[Tensor, Tensor]:
    """Solve (A' H A + penalty) D = right for every network by preconditioned conjugate gradients.

    Returns D and A D. ``system`` returns the product with a direction, and A times that direction.
    """
    solution, moved, residual = torch.zeros_like(right), right.new_zeros(()), right
    z = precondition(residual)
    direction, rz = z, (residual * z).sum((1, 2, 3), keepdim=True)
    for _ in range(steps):
        product, along = system(direction)
        denominator = (direction * product).sum((1, 2, 3), keepdim=True)
        size = torch.where(denominator > 0, rz / denominator, 0.0)
        solution, moved = solution + size * direction, moved + size * along
        residual = residual - size * product
        z = precondition(residual)
        new = (residual * z).sum((1, 2, 3), keepdim=True)
        direction = z + torch.where(rz > 0, new / rz, 0.0) * direction
        rz = new
    return solution, moved


def _solve(right: Tensor, factor: Tensor) -> Tensor:
    """Return (L L')^-1 right, given factors L of every network or one factor of all."""
    if len(factor) == len(right):
        return torch.cholesky_solve(right, factor)
    return _side_by_side(lambda columns: torch.cholesky_solve(columns, factor[0]), right)


def _side_by_side(function: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    """Apply a linear function of columns to those of all networks at once, (n, groups, rows, columns)."""
    found = function(values.movedim(0, -2).flatten(-2))
    return found.unflatten(-1, (len(values), -1)).movedim(-2, 0)


def _apply(blocks: list[Tensor], weights: Tensor) -> Tensor:
    return torch.cat([block @ weights for block in blocks], dim=2)


def _adjoint(blocks: list[Tensor], values: Tensor) -> Tensor:
    ranges = values.split([block.shape[2] for block in blocks], dim=2)
    products = [block.transpose(2, 3) @ some for block, some in zip(blocks, ranges, strict=True)]
    total: Tensor = sum(products[1:], products[0])
    return total
