"""Git Re-Basin: permute hidden units to match a reference (Ainsworth, Hayase & Srinivasa 2023)."""

import math
from collections import Counter
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.optimize import linear_sum_assignment

from dwf_steps.runtime.progress import Progress
from dwf_steps.storage.stacked import NetworkState, StackedNetworks
from dwf_steps.symmetry.permutation import Permutations
from dwf_steps.symmetry.spec import PermutationSpec, PlainSpec, pieces, unit_counts

GAINS_BYTES = 2**28  # of gain matrices, of networks that are matched at the same time
MINIMAL_GAIN = 1e-7  # relative to the product of both norms; smaller gains count as none
LARGEST_PRODUCT = 2.0**120  # of both norms, so that sums stay below 2^128, which float32 holds


@dataclass(frozen=True)
class Matching:
    """The matching of n networks, by the better of two starts if there were two.

    Attributes
    ----------
    permutations
        The unit that moves to each place, (n, units) for each permutation.
    sweeps
        The number of sweeps for each network, (n,).
    objective
        The inner product with the reference before the first sweep and after each one, (sweeps + 1, n). The
        last one is summed in float64.
    """

    permutations: Permutations
    sweeps: np.ndarray
    objective: np.ndarray


def match_weights(
    reference: NetworkState[np.ndarray],
    networks: StackedNetworks[np.ndarray],
    spec: PermutationSpec,
    iterations: int,
    generator: np.random.Generator,
) -> Matching:
    """Find permutations that maximise each network's inner product with the reference.

    Coordinate ascent (Algorithm 1 of arXiv 2209.04836): with all other permutations fixed, the best one is a
    linear assignment, which is solved exactly. Layers are visited in random order until a sweep changes
    nothing. A layer is skipped if no neighbour has changed since its last visit. All networks advance
    together. Weights and gains are float32; gains within rounding errors count as zero.

    In residual networks the ascent often ends in a poor optimum: a layer that is visited before the residual
    stream is matched by weights whose other axis is still unmatched. If permutations do not form chains
    (`are_chains`), the ascent therefore starts twice: from the given order of units, and from one found by
    matching layer after layer, each only by weights whose other axes are not permuted or already matched
    (`evidence_order`). The result with the larger inner product is kept, the first one if they are equal. The
    second start costs one more assignment per layer and a second, shorter ascent.

    The best choice of a permutation that acts on two axes of one parameter, as on a recurrent matrix, is not
    a linear assignment. The assignment that the gains of the single axes suggest is made if it increases the
    inner product.

    Parameters
    ----------
    reference
        The network to match to, with parameters (*shape).
    networks
        The n networks, with parameters (n, *shape).
    spec
        The permutations that act on each axis of each parameter; names that the reference does not have are
        ignored.
    iterations
        The largest number of sweeps.
    generator
        Draws the order of layers.

    Returns
    -------
    The permutations, and how they were reached.
    """
    reference, networks, plain = _divided(reference, networks, spec)
    counts = unit_counts({name: array.shape for name, array in reference.items()}, plain)
    kept = sum(counts[p] ** 2 for axes in plain.values() for p in axes if p is not None)
    chunk_size = max(1, GAINS_BYTES // (4 * max(kept, 1)))
    with Progress("assignment", None) as report:
        parts = [
            _match_from_starts(reference, some, plain, iterations, generator, report)
            for _, some in networks.chunks(chunk_size)
        ]
    return _joined(parts)


def _divided(
    reference: NetworkState[np.ndarray], networks: StackedNetworks[np.ndarray], spec: PermutationSpec
) -> tuple[NetworkState[np.ndarray], StackedNetworks[np.ndarray], PlainSpec]:
    """Divide arrays where permutations act on blocks of axes, so that all act on whole axes."""
    spec = {name: axes for name, axes in spec.items() if name in reference}
    parts = pieces({name: array.shape for name, array in reference.items()}, spec)
    named = {
        name: [(f"{name}:{k}" if k else name, piece) for k, piece in enumerate(of_name)]
        for name, of_name in parts.items()
    }

    def divide(arrays: StackedNetworks[np.ndarray]) -> StackedNetworks[np.ndarray]:
        return StackedNetworks(
            {part: piece.of(array) for name, array in arrays.items() for part, piece in named[name]}
        )

    plain = {part: piece.axes for of_name in named.values() for part, piece in of_name}
    return divide(StackedNetworks.of_one(reference)).network(0), divide(networks), plain


def are_chains(spec: PlainSpec) -> bool:
    """Return whether permutations form chains, as in MLPs.

    In a chain, each permutation shares one parameter with the previous permutation and one with the next.
    Residual streams break chains: a permutation has more than two such neighbours, or neighbours form a loop.

    Parameters
    ----------
    spec
        The permutation that acts on each axis of each parameter.

    Returns
    -------
    True if they form one or several chains.
    """
    links = [pair for axes in spec.values() for pair in combinations([p for p in axes if p is not None], 2)]
    chain = {p: {p} for pair in links for p in pair}
    for first, second in links:
        if chain[first] is chain[second]:
            return False
        chain[first] |= chain[second]
        chain |= dict.fromkeys(chain[second], chain[first])
    return all(count <= 2 for count in Counter(p for pair in links for p in pair).values())


def evidence_order(
    shapes: Mapping[str, tuple[int, ...]], spec: PlainSpec
) -> dict[str, list[tuple[str, int]]]:
    """Choose an order in which to match permutations, and the parameters to match each by.

    A parameter is evidence for the order of one of its axes if its other axes are not permuted, or their
    permutations come earlier. The next permutation is the one with the most entries of evidence per unit; if
    several have equally many, the one that the spec names first.

    Parameters
    ----------
    shapes
        The parameters' shapes.
    spec
        The permutation that acts on each axis of each parameter.

    Returns
    -------
    For each permutation, in this order, the parameters and axes that are evidence for it.
    """
    counts, order = unit_counts(shapes, spec), dict[str, list[tuple[str, int]]]()
    while len(order) < len(counts):
        evidence = {
            p: [
                (name, axes.index(p))
                for name, axes in spec.items()
                if axes.count(p) == 1 and all(q is None or q == p or q in order for q in axes)
            ]
            for p in counts
            if p not in order
        }
        numbers = {
            p: sum(math.prod(shapes[name]) for name, _ in places) // counts[p]
            for p, places in evidence.items()
        }
        chosen = max(numbers, key=numbers.__getitem__)
        order[chosen] = evidence[chosen]
    return order


def _match_from_starts(
    reference: NetworkState[np.ndarray],
    networks: StackedNetworks[np.ndarray],
    spec: PlainSpec,
    iterations: int,
    generator: np.random.Generator,
    report: Progress,
) -> Matching:
    """Match from the given order of units and, if permutations do not form chains, from a second one."""
    first = _match(_State(reference, networks, spec), iterations, deepcopy(generator), report)
    if are_chains(spec):
        return first
    state = _State(reference, networks, spec)
    state.match_by(evidence_order({name: array.shape for name, array in reference.items()}, spec))
    second = _match(state, iterations, deepcopy(generator), report)
    better = second.objective[-1] - first.objective[-1] > state.tolerance
    length = max(len(first.objective), len(second.objective))
    return Matching(
        {
            p: np.where(better[:, None], second.permutations[p], order)
            for p, order in first.permutations.items()
        },
        np.where(better, second.sweeps, first.sweeps),
        np.where(better, _lengthened(second.objective, length), _lengthened(first.objective, length)),
    )


def _match(state: "_State", iterations: int, generator: np.random.Generator, report: Progress) -> Matching:
    objective = [state.objective()]
    n = len(objective[0])
    sweeps, active = np.zeros(n, dtype=int), np.arange(n)
    for sweep in range(iterations):
        report.facts.update(sweep=f"{sweep + 1} of at most {iterations}", unmatched=f"{len(active)} of {n}")
        gained = np.zeros(n)
        for name in generator.permutation(list(state.permutations)):
            rows = active[state.stale[name][active]]
            if len(rows):
                gained[rows] += state.assign(name, rows)
            report.advance(len(rows))
        sweeps[active] += 1
        objective.append(objective[-1] + gained)
        active = np.flatnonzero(gained)
        if len(active) == 0:
            break
    # Gains were rounded to float32; the final objective is computed in float64.
    steps = np.stack(objective)
    return Matching(state.permutations, sweeps, steps + (state.objective() - steps[-1]))


def _joined(parts: list[Matching]) -> Matching:
    """Join the matchings of groups of networks; objectives are repeated after their last sweep."""
    longest = max(len(part.objective) for part in parts)
    objectives = [_lengthened(part.objective, longest) for part in parts]
    names = parts[0].permutations
    return Matching(
        {name: np.concatenate([part.permutations[name] for part in parts]) for name in names},
        np.concatenate([part.sweeps for part in parts]),
        np.concatenate(objectives, axis=1),
    )


def _lengthened(objective: np.ndarray, length: int) -> np.ndarray:
    """Repeat the last row of an objective (sweeps + 1, n) up to a length, (length, n)."""
    return np.pad(objective, [(0, length - len(objective)), (0, 0)], mode="edge")


class _State:
    """The current permutations of n networks, and the gain of moving any unit to any place.

    Gains are kept for every parameter and axis. Permuting the axis reorders them. Permuting another axis of
    the parameter adds the contribution of the moved units or, if most units move, marks the gains as `_old`,
    to be recomputed when they are next needed.

    Attributes
    ----------
    permutations
        The unit at each place, (n, units) for each permutation.
    stale
        Whether the best choice of a permutation may have changed since it was made, (n,).
    tolerance
        Gains of the objective up to which count as none, (n,).
    """

    def __init__(
        self,
        reference: NetworkState[np.ndarray],
        networks: StackedNetworks[np.ndarray],
        spec: PlainSpec,
    ) -> None:
        n = networks.count
        counts = unit_counts({name: array.shape for name, array in reference.items()}, spec)
        self.permutations = {p: np.tile(np.arange(units), (n, 1)) for p, units in counts.items()}
        self.stale = {p: np.ones(n, dtype=bool) for p in counts}
        self._spec = spec
        self._axes: dict[str, list[tuple[str, int]]] = {
            p: [(name, axis) for name, of in spec.items() for axis, q in enumerate(of) if q == p]
            for p in counts
        }
        # These act on two axes of a parameter: gains are only first-order, so each choice is evaluated.
        self._twice = {p for p in counts if any(of.count(p) > 1 for of in spec.values())}
        self._reference = {name: array.astype(np.float32) for name, array in reference.items()}
        norms = squared_norms(StackedNetworks.of_one(reference))
        products = np.sqrt(norms * squared_norms(networks))
        self.tolerance = MINIMAL_GAIN * products
        # A network's best order does not depend on its scale, and dividing by a power of two is exact.
        self._scale = np.ldexp(1.0, np.maximum(np.frexp(products / LARGEST_PRODUCT)[1], 0))
        self._current = {name: self._scaled_down(networks[name]) for name in spec}
        self._wanted, self._gains, self._old = {}, {}, {}
        for p, units in counts.items():
            for name, axis in self._axes[p]:
                self._wanted[name, axis] = _slices(self._reference[name], axis)
                self._gains[name, axis] = np.empty((n, units, units), np.float32)
                self._old[name, axis] = np.ones(n, dtype=bool)

    def _scaled_down(self, array: np.ndarray) -> np.ndarray:
        """Return a parameter of all networks, (n, *shape), scaled so that sums of products are finite."""
        if (self._scale == 1).all():
            return np.array(array, np.float32)
        return (array / self._scale.reshape(-1, *[1] * (array.ndim - 1))).astype(np.float32)

    def objective(self) -> np.ndarray:
        """Return the inner products with the reference, (n,) float64."""
        products: np.ndarray | float = 0.0
        for name, reference in self._reference.items():
            rows = self._current[name].reshape(len(self._current[name]), reference.size)
            products = products + rows.astype(np.float64) @ reference.ravel().astype(np.float64)
        return np.asarray(products) * self._scale

    def match_by(self, evidence: Mapping[str, list[tuple[str, int]]]) -> None:
        """Choose permutations one after another, each only by some parameters and axes."""
        rows = np.arange(len(self._scale))
        for name, places in evidence.items():
            for row, gain in enumerate(self._gains_of(places, rows)) if places else ():
                self._reorder(name, row, linear_sum_assignment(gain, maximize=True)[1])

    def assign(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Choose one permutation again for the networks ``rows``; return their gains, 0 if unchanged."""
        gains, gained = self._gains_of(self._axes[name], rows), np.zeros(len(rows))
        places = np.arange(gains.shape[1])
        for k, (row, gain) in enumerate(zip(rows, gains, strict=True)):
            order = linear_sum_assignment(gain, maximize=True)[1]
            if name in self._twice:
                more = self._product(name, row, order) - self._product(name, row, places)
            else:
                more = gain[places, order].sum(dtype=np.float64) - np.trace(gain, dtype=np.float64)
            more *= self._scale[row]
            if more > self.tolerance[row]:
                self._reorder(name, row, order)
                gained[k] = more
        self.stale[name][rows] = (gained > 0) & (name in self._twice)
        return gained

    def _product(self, name: str, row: int, order: np.ndarray) -> float:
        """Return a network's inner product with the reference if one permutation's units are reordered.

        Only the parameters that the permutation acts on are included.
        """
        total = 0.0
        for parameter in dict(self._axes[name]):
            array = self._current[parameter][row]
            for axis, permutation in enumerate(self._spec[parameter]):
                array = array.take(order, axis) if permutation == name else array
            total += float(np.vdot(array.astype(np.float64), self._reference[parameter].astype(np.float64)))
        return total

    def _gains_of(self, places: list[tuple[str, int]], rows: np.ndarray) -> np.ndarray:
        """Return the gains (rows, units, units) of one permutation over some parameters and axes.

        Entry (u, v) is the contribution to the objective of the unit now at v if it moves to u.
        """
        total: np.ndarray | float = 0.0
        for parameter, axis in places:
            gains, old = self._gains[parameter, axis], self._old[parameter, axis]
            if len(again := rows[old[rows]]):
                array, wanted = self._current[parameter], self._wanted[parameter, axis]
                array = array if len(again) == len(array) else array[again]
                found = np.moveaxis(array, axis + 1, 1).reshape(len(again), len(wanted), -1)
                gains[again] = wanted @ found.transpose(0, 2, 1)
                old[again] = False
            total = total + (gains if len(rows) == len(gains) else gains[rows])
        return np.asarray(total)

    def _reorder(self, name: str, row: int, order: np.ndarray) -> None:
        """Reorder a network's units of one permutation."""
        self.permutations[name][row] = self.permutations[name][row][order]
        moved = np.flatnonzero(order != np.arange(len(order)))
        for parameter, axis in self._axes[name]:
            current, gains = self._current[parameter], self._gains[parameter, axis]
            change = None  # of the moved units, if they are few
            if 2 * len(moved) <= len(order):
                change = current[row].take(order[moved], axis) - current[row].take(moved, axis)
            current[row] = current[row].take(order, axis)
            gains[row] = gains[row].take(order, 1)
            for other, permutation in enumerate(self._spec[parameter]):
                if permutation is None or other == axis:
                    continue
                self.stale[permutation][row] = True
                if change is None or self._old[parameter, other][row]:
                    self._old[parameter, other][row] = True
                else:
                    wanted = _slices(self._reference[parameter].take(moved, axis), other)
                    self._gains[parameter, other][row] += wanted @ _slices(change, other).T


def _slices(array: np.ndarray, axis: int) -> np.ndarray:
    """Return the entries of each unit along an axis, (units, ...)."""
    return np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1)


def squared_norms(networks: StackedNetworks[np.ndarray]) -> np.ndarray:
    """Return the squared Euclidean norm of each network.

    Parameters
    ----------
    networks
        The n networks, with arrays (n, *shape).

    Returns
    -------
    Squared norms over all arrays, float64 (n,).
    """
    parts = [
        np.square(array.reshape(len(array), -1), dtype=np.float64).sum(axis=1) for array in networks.values()
    ]
    return np.sum(parts, axis=0)
