"""Symmetries of networks whose architecture states none: found by tracing a run, then checked numerically."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from dwf_steps.runtime.plugins import describe
from dwf_steps.runtime.randomness import numpy_generator, torch_generator
from dwf_steps.storage.stacked import NetworkState, StackedNetworks
from dwf_steps.symmetry.axes import Dimension, Part, Units, all_units, fix, fixed, length, resolve
from dwf_steps.symmetry.operations import DimensionTracer
from dwf_steps.symmetry.rescaling import EPSILON, rescale
from dwf_steps.symmetry.spec import (
    Attention,
    Axis,
    Factors,
    PermutationSpec,
    Projection,
    Rescaling,
    named_in,
    order_of_entries,
    uncounted,
    unit_counts,
)

EXAMPLES = 2
TOLERANCE = 1e-9  # relative, in float64; rounding errors are smaller, the effect of early layers may be small
PLACES_OF_HEADS = 7  # weights and biases of queries, keys and values, and the output's weight

logger = logging.getLogger(__name__)

Call = Callable[[NetworkState[Tensor], Tensor], Tensor]
Candidate = TypeVar("Candidate")


@dataclass(frozen=True)
class FoundSymmetries:
    """The symmetries that were found.

    Attributes
    ----------
    permutations
        The permutations that act on each axis of each parameter and buffer, running statistics included.
    attentions, rescalings
        As an architecture states them.
    unknown
        Why no more were found, for messages; empty if nothing was in the way.
    """

    permutations: PermutationSpec
    attentions: list[Attention]
    rescalings: list[Rescaling]
    unknown: str = ""

    @property
    def any_permuted(self) -> bool:
        """Whether any permutation was found."""
        return any(named_in(axis) for axes in self.permutations.values() for axis in axes)


def find_symmetries(
    call: Call, state: NetworkState[Tensor], buffers: Collection[str], shape: Sequence[int], called: str
) -> FoundSymmetries:
    """Find a network's symmetries by tracing the axes of its parameters through a forward pass.

    Operations for which `operations` has no rule keep the order of the axes they read, which is logged. All
    symmetries found are applied to the network with random weights, and dropped if its outputs change.

    Parameters
    ----------
    call
        Returns the outputs of a network for inputs (batch, *shape), both in float64.
    state
        Parameters and buffers of a network. Permutations are named after parameters.
    buffers
        Names of the buffers.
    shape
        The shape of one input.
    called
        How messages name the network.

    Returns
    -------
    The symmetries; none if the network cannot be traced.
    """
    # Buffers other than running statistics are constants, which all networks share.
    constant = {name for name in buffers if not name.rpartition(".")[2].startswith("running_")}
    weights = _random_weights(state, constant)
    inputs = torch.rand(
        (EXAMPLES, *shape), dtype=torch.float64, generator=torch_generator("inputs of a traced network", 0)
    )
    nothing: PermutationSpec = {name: (None,) * value.dim() for name, value in state.items()}
    tracer = DimensionTracer({name: value for name, value in weights.items() if name not in constant})
    try:
        with _unfused():
            with tracer:
                outputs = call(weights, inputs)
            for axis in tracer.of(outputs):
                fix(axis)
    except Exception as error:  # the user's module may raise anything
        reached = f", in or after the operation {tracer.last}" if tracer.last else ""
        reason = f"it cannot be traced in float64 ({describe(error)}){reached}"
        logger.info("%s: %s; it is treated as having no symmetries", called, reason)
        return FoundSymmetries(nothing, [], [], reason)
    reason = ""
    if tracer.unknown:
        reason = f"there is no rule for {', '.join(tracer.unknown)}, so the axes read there keep their order"
        logger.info("%s: %s", called, reason)
    dimensions = {
        name: [resolve(axis) for axis in tracer.dimensions[name]]
        if name in tracer.used
        else [fixed(size) for size in value.shape]
        for name, value in state.items()
    }
    check = _Check(call, weights, inputs, outputs)
    attentions = _passing(_attentions(dimensions, buffers), check.attentions_hold, called)
    names = _names(dimensions, {units for _, taken in attentions for units in taken})
    kept = _passing(
        list(names.values()),
        lambda chosen: check.permutations_hold(_specification(dimensions, names, chosen)),
        called,
    )
    permutations = _specification(dimensions, names, kept)
    rescalings = _passing(_rescalings(tracer, dimensions, names, buffers), check.rescalings_hold, called)
    logger.info(
        "%s: tracing found %d permutations, %d attentions and %d scales of units",
        called,
        len(kept),
        len(attentions),
        len(rescalings),
    )
    return FoundSymmetries(permutations, [attention for attention, _ in attentions], rescalings, reason)


@contextmanager
def _unfused() -> Iterator[None]:
    """Run attention as matrix products, which can be traced, without gradients."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def _random_weights(state: NetworkState[Tensor], constant: Collection[str]) -> NetworkState[Tensor]:
    """Return a network in float64 with random weights around its own, except for constants.

    Parameters whose entries are all equal in a new network, such as those of norms and heads that start at
    zero, could not tell units apart.
    """
    weights = {}
    for name, value in state.items():
        if not value.is_floating_point() or name in constant:
            weights[name] = value.double() if value.is_floating_point() else value.clone()
            continue
        purpose = f"weights of a traced network {name}"
        draws = torch.rand(value.shape, dtype=torch.float64, generator=torch_generator(purpose, 0)) - 0.5
        alike = value.dim() < 2 or bool((value == value.flatten()[0]).all())
        weights[name] = value * (1 + draws) + (0.2 * draws if alike else 0)
    return weights


def _names(dimensions: Mapping[str, list[Dimension]], taken: Collection[Units]) -> dict[Units, str]:
    """Name all free units after the part of the network that outputs them, in order."""
    names: dict[Units, str] = {}
    given = dict[str, int]()
    for first in (True, False):
        for parameter, axes in dimensions.items():
            for units in all_units(axes[:1] if first else axes):
                if units.fixed or units.uniform or units in taken or units in names:
                    continue
                part = parameter.rpartition(".")[0] or parameter
                given[part] = given.get(part, 0) + 1
                names[units] = part if given[part] == 1 else f"{part}:{given[part]}"
    order = (units for axes in dimensions.values() for units in all_units(axes))
    return {units: names[units] for units in dict.fromkeys(order) if units in names}


def _specification(
    dimensions: Mapping[str, list[Dimension]], names: Mapping[Units, str], kept: Collection[str]
) -> PermutationSpec:
    """Return the specification of the permutations kept, with numbers of units where they do not follow."""
    written = {units: name for units, name in names.items() if name in kept}
    shapes = {name: tuple(map(length, axes)) for name, axes in dimensions.items()}
    while True:
        spec = {name: tuple(_entry(axis, written) for axis in axes) for name, axes in dimensions.items()}
        unknown = uncounted(shapes, spec)
        if not unknown:
            return spec
        (units,) = (units for units, name in written.items() if name == unknown[0])
        written[units] = f"{unknown[0]}={units.size}"


def _entry(axis: Dimension, names: Mapping[Units, str]) -> Axis:
    """Return the entry of a specification for an axis."""
    parts: list[Factors] = []
    for part in axis:
        factors: list[str | int] = []
        for units in part:
            name = names.get(units)
            if name is None and factors and isinstance(factors[-1], int):
                factors[-1] *= units.size
            else:
                factors.append(units.size if name is None else name)
        parts.append(tuple(factors or [1]))
    return _written(_joined(parts))


def _joined(parts: Iterable[Factors]) -> list[Factors]:
    """Merge the parts of an axis: consecutive numbers are added, repetitions become a factor."""
    found: list[Factors] = []
    for part in parts:
        if (
            found
            and len(part) == len(found[-1]) == 1
            and isinstance(part[0], int)
            and isinstance(found[-1][0], int)
        ):
            found[-1] = (found[-1][0] + part[0],)
        else:
            found.append(part)
    if len(found) > 1 and all(part == found[0] for part in found):
        return [(len(found), *found[0])]
    return found


def _written(parts: list[Factors]) -> Axis:
    if all(isinstance(factor, int) for part in parts for factor in part):
        return None
    entries = [part[0] if len(part) == 1 else part for part in parts]
    if len(entries) > 1:
        return entries
    (entry,) = entries
    return None if isinstance(entry, int) else entry


Heads = tuple[Attention, tuple[Units, ...]]


def _attentions(dimensions: Mapping[str, list[Dimension]], buffers: Collection[str]) -> list[Heads]:
    """Find attention heads.

    Heads are units that divide the first axes of three projections and the second axis of a fourth weight.
    Each head consists of units of its own, which queries and keys share.
    """
    found: list[Heads] = []
    places: dict[Units, list[tuple[str, int, int, Part]]] = {}
    for name, axes in dimensions.items():
        for number, axis in enumerate(axes):
            start = 0
            for part in axis:
                for units in part:
                    places.setdefault(units, []).append((name, number, start, part))
                start += length((part,))
    for heads, of_heads in places.items():
        divided = [part for *_, part in of_heads if len(part) == 2 and part[0] is heads]
        inner = dict.fromkeys(part[1] for part in divided)
        several = len(divided) == len(of_heads) == PLACES_OF_HEADS and len(inner) == 2
        if heads.fixed or heads.uniform or not several or any(name in buffers for name, *_ in of_heads):
            continue
        rows: dict[Units, list[tuple[str, int]]] = {units: [] for units in inner}
        outputs = []
        for name, number, start, part in of_heads:
            if number == 0:
                rows[part[1]].append((name, start))
            elif number == 1 and len(dimensions[name][1]) == 1:
                outputs.append((name, part[1]))
        for value in inner:
            (other,) = (units for units in inner if units is not value)
            counts = (len(rows[other]), len(rows[value]), [units for _, units in outputs])
            if counts == (4, 2, [value]) and not (value.fixed or other.fixed):
                projections = _projections(rows[other], dimensions), _projections(rows[value], dimensions)
                if [len(part) for part in projections] == [2, 1]:
                    (query, key), (of_value,) = projections
                    attention = Attention(query, key, of_value, outputs[0][0], heads.size)
                    found.append((attention, (heads, value, other)))
    return found


def _projections(rows: list[tuple[str, int]], dimensions: Mapping[str, list[Dimension]]) -> list[Projection]:
    """Pair the weights and biases whose rows start at the same position."""
    weights = [(name, start) for name, start in rows if len(dimensions[name]) == 2]
    biases = [(name, start) for name, start in rows if len(dimensions[name]) == 1]
    if len(weights) != len(biases):
        return []
    return [
        Projection(weight, bias, first)
        for (weight, first), (bias, start) in zip(weights, biases, strict=True)
        if first == start
    ]


def _rescalings(
    tracer: DimensionTracer,
    dimensions: Mapping[str, list[Dimension]],
    names: Mapping[Units, str],
    buffers: Collection[str],
) -> list[Rescaling]:
    """Propose scaling symmetries: of units between weights, and of filters before batch norm."""
    norms = tracer.normalisations
    normalised = {name for norm in norms for name in (norm.weight, norm.bias) if name is not None}
    found = []
    for units in names:
        whole = ((units,),)
        incoming = tuple(
            name
            for name, axes in dimensions.items()
            if axes and axes[0] == whole and name not in normalised and name not in buffers
        )
        outgoing = tuple(
            name
            for name, axes in dimensions.items()
            if len(axes) > 1 and len(axes[1]) == 1 and axes[1][0][:1] == (units,)
        )
        others = (
            name
            for name, axes in dimensions.items()
            if name not in (*incoming, *outgoing, *normalised, *buffers) and units in all_units(axes)
        )
        if units.scaled and incoming and outgoing and not any(others):
            found.append(Rescaling(incoming, outgoing))
    for norm in norms:
        if norm.weight is not None and norm.epsilon == EPSILON:
            layer = (norm.weight,) if norm.bias is None else (norm.weight, norm.bias)
            found.append(Rescaling(layer, statistics=norm.statistics))
    return found


def _passing(
    candidates: list[Candidate], hold: Callable[[list[Candidate]], bool], called: str
) -> list[Candidate]:
    """Return the candidates that hold: all if they hold together, else those that hold in each half."""
    if not candidates or hold(candidates):
        return candidates
    if len(candidates) == 1:
        logger.info("%s: %s changes outputs and is left out", called, candidates[0])
        return []
    half = len(candidates) // 2
    return [
        candidate
        for part in (candidates[:half], candidates[half:])
        for candidate in _passing(part, hold, called)
    ]


class _Check:
    """Checks that symmetries leave a network's outputs unchanged."""

    def __init__(self, call: Call, weights: NetworkState[Tensor], inputs: Tensor, outputs: Tensor) -> None:
        self._call, self._inputs, self._outputs = call, inputs, outputs
        self._weights = weights
        self._shapes = {name: tuple(value.shape) for name, value in weights.items()}
        self._draws = numpy_generator("check of found symmetries", 0)

    def permutations_hold(self, spec: PermutationSpec) -> bool:
        counts = unit_counts(self._shapes, spec)
        orders = {name: self._draws.permutation(units)[None] for name, units in counts.items()}
        return self._same(spec, orders)

    def attentions_hold(self, found: list[Heads]) -> bool:
        stated: dict[str, list[Axis]] = {name: [None] * len(shape) for name, shape in self._shapes.items()}
        parts: dict[str, list[tuple[int, str, int]]] = {}
        orders: dict[str, np.ndarray] = {}
        for number, (attention, _) in enumerate(found):
            width = self._shapes[attention.output][1]
            size = width // attention.heads
            heads = self._draws.permutation(attention.heads)
            for kind in ("score", "value"):
                within = np.stack([self._draws.permutation(size) for _ in heads])
                orders[f"{kind} {number}"] = (heads[:, None] * size + within).reshape(1, -1)
            for projection, kind in (
                (attention.query, "score"),
                (attention.key, "score"),
                (attention.value, "value"),
            ):
                for name in (projection.weight, projection.bias):
                    parts.setdefault(name, []).append((projection.first, f"{kind} {number}", width))
            stated[attention.output][1] = f"value {number}"
        for name, places in parts.items():
            entries: list[str | int | Factors] = []
            done = 0
            for first, permutation, width in sorted(places):
                entries += [first - done] * (first > done) + [permutation]
                done = first + width
            rest = self._shapes[name][0] - done
            stated[name][0] = entries + [rest] * (rest > 0)
        return self._same({name: tuple(axes) for name, axes in stated.items()}, orders)

    def rescalings_hold(self, found: list[Rescaling]) -> bool:
        network = StackedNetworks.of_one(self._weights).numpy()
        for units in found:
            count = self._shapes[units.incoming[0]][0]
            if any(self._shapes[name][1] % count for name in units.outgoing):
                return False
            network = rescale(network, units, self._draws.uniform(0.5, 2, (1, count)))
        return self._outputs_stay(network.tensors().network(0))

    def _same(self, spec: PermutationSpec, orders: Mapping[str, np.ndarray]) -> bool:
        network = dict(self._weights)
        for name, axes in spec.items():
            for number, axis in enumerate(axes):
                if axis is not None:
                    (order,) = order_of_entries(axis, self._shapes[name][number], orders)
                    network[name] = network[name].index_select(number, torch.from_numpy(order))
        return self._outputs_stay(network)

    def _outputs_stay(self, network: NetworkState[Tensor]) -> bool:
        with _unfused():
            outputs = self._call(network, self._inputs)
        change = (outputs - self._outputs).abs().max()
        return bool(change <= TOLERANCE * self._outputs.abs().max())
