"""Decoding of response coordinates to weights, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from dwf_steps.representation.capture import Capture, summed
from dwf_steps.representation.layers import Layer, Normalisation, Trace, TracedStep
from dwf_steps.representation.matching import Curvature, Loss, NextInputLoss, SoftmaxLoss
from dwf_steps.representation.responses import ResponseBasis, probe_blocks
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


@dataclass(frozen=True)
class Decoder:
    """Finds weights whose responses are close to those of given coordinates.

    Attributes
    ----------
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

    ridge: float = 1e-3
    matching: Literal["activations", "pre_activations"] = "activations"
    iterations: int = 3
    cg: int = 3
    softmax: bool = True

    @torch.no_grad()
    def decode(
        self,
        capture: Capture,
        basis: ResponseBasis,
        coordinates: Tensor,
        buffers: StackedNetworks[Tensor],
    ) -> StackedNetworks[Tensor]:
        """Decode networks, fewer at a time if the device runs out of memory.

        Parameters
        ----------
        capture
            Runs the networks on the probes.
        basis
            The response functions of every layer.
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
            parts = [self._decode(capture, basis, coordinates[rows], buffers.select(rows)) for rows in ranges]
            if len(parts) == 1:
                return parts[0]
            return StackedNetworks({name: torch.cat([part[name] for part in parts]) for name in parts[0]})

        return in_halves(n, run, "networks")[0]

    def _decode(
        self,
        capture: Capture,
        basis: ResponseBasis,
        coordinates: Tensor,
        buffers: StackedNetworks[Tensor],
    ) -> StackedNetworks[Tensor]:
        networks = _begun(basis, coordinates, buffers)
        if runs_in_one_pass(capture, basis.trace):
            problems: dict[str, Problem] = {}
            for i in range(len(coordinates)):
                self._in_one_pass(capture, basis, coordinates, networks, i, problems)
        else:
            self._in_steps(capture, basis, coordinates, networks, basis.trace.steps)
        return networks

    @torch.no_grad()
    def decode_before(
        self,
        layer: Layer,
        capture: Capture,
        basis: ResponseBasis,
        coordinates: Tensor,
        buffers: StackedNetworks[Tensor],
    ) -> StackedNetworks[Tensor]:
        """Decode only the steps before a layer; all later layers are zero.

        Parameters
        ----------
        layer
            The layer.
        capture, basis, coordinates, buffers
            See `decode`.

        Returns
        -------
        The n networks.
        """
        networks = _begun(basis, coordinates, buffers)
        steps = basis.trace.steps
        self._in_steps(capture, basis, coordinates, networks, steps[: steps.index(layer)])
        return networks

    def _in_steps(
        self,
        capture: Capture,
        basis: ResponseBasis,
        coordinates: Tensor,
        networks: StackedNetworks[Tensor],
        steps: Sequence[TracedStep],
    ) -> None:
        """Decode some steps of all networks, in place, running all networks up to each step."""
        for step in steps:
            if isinstance(step, Normalisation):
                blocks = probe_blocks(capture, len(coordinates))
                found = [capture.moments(networks, step, probes) for probes in blocks]
                _set_statistics(networks, slice(None), step, found)
            else:
                seen = networks.select([0]) if step.reads_data else networks
                blocks = probe_blocks(capture, seen.count)
                problem = self._problem([capture.inputs(seen, step, probes) for probes in blocks], step)
                self._fit(problem, networks, slice(None), step, target_of(basis, step, coordinates))

    def _in_one_pass(
        self,
        capture: Capture,
        basis: ResponseBasis,
        coordinates: Tensor,
        networks: StackedNetworks[Tensor],
        i: int,
        problems: dict[str, Problem],
    ) -> None:
        """Decode network ``i`` in a single forward pass, in place: each layer is solved just before it runs.

        Parameters
        ----------
        capture, basis, coordinates
            See `decode`.
        networks
            The n networks.
        i
            The network to decode.
        problems
            By layer, problems of layers that read the data, which all networks share; new ones are added.
        """
        steps: dict[str, TracedStep] = {
            step.weight if isinstance(step, Layer) else step.mean: step for step in basis.trace.steps
        }
        row = slice(i, i + 1)

        def on_inputs(name: str, values: Tensor) -> None:
            step = steps.get(name)
            if isinstance(step, Normalisation):
                total, squares, count = summed(values)
                _set_statistics(networks, row, step, [(total[None], squares[None], count)])
            elif step is not None:
                problem = problems.get(step.name)
                if problem is None:
                    problem = self._problem([capture.rows_of(values, step)[None]], step)
                if step.reads_data:
                    problems[step.name] = problem
                self._fit(problem, networks, row, step, target_of(basis, step, coordinates[row]))

        capture.visit(networks.network(i), on_inputs)

    def _problem(self, inputs: list[Tensor], layer: Layer) -> Problem:
        return Problem(
            [layer.with_ones(block.double()) for block in inputs], self.ridge, layer.bias is not None
        )

    def _fit(
        self,
        problem: Problem,
        networks: StackedNetworks[Tensor],
        rows: slice,
        layer: Layer,
        target: Tensor,
    ) -> None:
        """Solve for a layer's weights in some of the networks, in place."""
        target = target.unflatten(2, (layer.groups, -1)).transpose(1, 2)  # (n, groups, rows, units)
        solution = problem.least_squares(target)
        loss = self._loss(layer, networks.select(rows), target)
        if loss is not None:
            solution = problem.reweighted(solution, target, loss, self.iterations, self.cg)
        solution = solution.transpose(2, 3).flatten(1, 2).float()  # (n, units, fan_in + 1)
        weights = networks[layer.weight][rows]
        weights.copy_(solution[..., : layer.fan_in].reshape_as(weights))
        if layer.bias is not None:
            networks[layer.bias][rows] = solution[..., -1]

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
        mean, variance = target.mean(2, keepdim=True), target.var(2, keepdim=True, correction=0)
        shape = (len(target), layer.groups, 1, -1)
        scale = (variance + norm.epsilon).rsqrt()
        scale = scale * networks[norm.weight].double().reshape(shape) if norm.weight else scale
        shift = networks[norm.bias].double().reshape(shape) - mean * scale if norm.bias else -mean * scale
        return NextInputLoss(layer.activation, scale.float(), shift.float())


def runs_in_one_pass(capture: Capture, trace: Trace) -> bool:
    """Return whether networks are decoded one by one, each in a single forward pass over all probes.

    This applies to deep networks if a forward pass fits into memory. Other networks are run up to every step
    again, many at once, on some probes at a time.

    Parameters
    ----------
    capture
        Runs the networks on the probes.
    trace
        The steps of the networks.

    Returns
    -------
    Whether a single pass per network is used.
    """
    activations = 4 * len(capture.probes) * capture.architecture.widest
    return len(trace.steps) > DEEP and LIVE_ACTIVATIONS * activations <= ONE_PASS_BYTES


def _begun(
    basis: ResponseBasis, coordinates: Tensor, buffers: StackedNetworks[Tensor]
) -> StackedNetworks[Tensor]:
    """Return networks whose layers are zero, with the parameters that coordinates (n, d') hold as weights."""
    n = len(coordinates)
    networks = StackedNetworks(
        {
            name: coordinates.new_zeros((n, *shape), dtype=torch.float32)
            for name, shape in basis.shapes.items()
        }
    )
    for name in basis.trace.kept:
        networks[name].copy_(_stated(basis, name, coordinates))
    networks |= buffers.map(torch.clone)  # statistics are set in place
    return networks


def target_of(basis: ResponseBasis, layer: Layer, coordinates: Tensor) -> Tensor:
    """Return the responses that coordinates describe.

    Parameters
    ----------
    basis
        The response functions of every layer.
    layer
        The layer.
    coordinates
        Coordinates of n networks, (n, d').

    Returns
    -------
    Responses, float64 (n, rows, units).
    """
    functions, stated = basis.functions[layer.name], _stated(basis, layer.name, coordinates)
    target: Tensor = functions @ stated.double().transpose(1, 2) * len(functions) ** 0.5
    return target


def _stated(basis: ResponseBasis, name: str, coordinates: Tensor) -> Tensor:
    """Return the coordinates of a layer or of a kept parameter, (n, *shape)."""
    entry = next(entry for entry in basis.layout.entries if entry.name == name)
    return coordinates[:, entry.columns].reshape(-1, *entry.shape)


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
    # One factor for all: networks are further columns, as units are.
    side_by_side = right.movedim(0, -2).flatten(-2)
    solved = torch.cholesky_solve(side_by_side, factor[0])
    return solved.unflatten(-1, (len(right), -1)).movedim(-2, 0)


def _apply(blocks: list[Tensor], weights: Tensor) -> Tensor:
    return torch.cat([block @ weights for block in blocks], dim=2)


def _adjoint(blocks: list[Tensor], values: Tensor) -> Tensor:
    ranges = values.split([block.shape[2] for block in blocks], dim=2)
    products = [block.transpose(2, 3) @ some for block, some in zip(blocks, ranges, strict=True)]
    total: Tensor = sum(products[1:], products[0])
    return total


def networks_at_once(capture: Capture, basis: ResponseBasis, budget: int) -> int:
    """Return the number of networks that may be decoded at a time within a memory budget.

    For each network, a layer needs its inputs (rows, fan_in + 1), their Gram matrix and its factor (fan_in +
    1, fan_in + 1), and the responses (rows, units) and weights of the solver, in float64. Networks that are
    decoded one by one only need their coordinates and weights.

    Parameters
    ----------
    capture
        Runs the networks on the probes.
    basis
        The response functions of every layer.
    budget
        In bytes. Memory that does not depend on the number of networks is part of it: response functions, and
        the inputs of layers that read the data, which all networks share.

    Returns
    -------
    The number of networks, at least 1.
    """
    if runs_in_one_pass(capture, basis.trace):
        weights = sum(math.prod(shape) for shape in basis.shapes.values())
        return max(1, budget // (8 * (basis.layout.size + weights)))
    doubles = {True: 0, False: 0}
    responses_and_weights = 0
    for layer in basis.trace.layers:
        rows, inputs = capture.rows(layer), layer.fan_in + 1
        gram = layer.groups * inputs * (2 * rows + COPIES_OF_GRAM * inputs)
        doubles[layer.reads_data] = max(doubles[layer.reads_data], gram)
        solved = COPIES_OF_RESPONSES * rows * layer.units + COPIES_OF_WEIGHTS * inputs * layer.units
        responses_and_weights = max(responses_and_weights, solved if layer.reads_data else solved + gram)
    shared = 8 * (doubles[True] + sum(functions.numel() for functions in basis.functions.values()))
    one = 8 * (responses_and_weights + 2 * basis.layout.size)
    return max(1, (budget - shared) // one)
