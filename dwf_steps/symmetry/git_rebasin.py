"""Git Re-Basin: permute hidden units to match a reference (Ainsworth, Hayase & Srinivasa 2023)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from dwf_steps.progress import Progress
from dwf_steps.symmetry.permutation import Permutations, permute_axis, unit_counts
from dwf_steps.symmetry.spec import PermutationSpec

MINIMAL_GAIN = 1e-10  # of the objective, relative; below it an assignment counts as unchanged


@dataclass(frozen=True)
class Matching:
    """``permutations`` for n networks, the ``sweeps`` each took (n,), and the ``objective`` after every
    sweep (sweeps, n): the inner product with the reference."""

    permutations: Permutations
    sweeps: np.ndarray
    objective: np.ndarray


def match_weights(
    reference: Mapping[str, np.ndarray],
    parameters: Mapping[str, np.ndarray],
    spec: PermutationSpec,
    iterations: int,
    generator: np.random.Generator,
) -> Matching:
    """Find permutations that maximise each network's inner product with the reference.

    Coordinate ascent (Algorithm 1 of arXiv 2209.04836): with all other permutations fixed, the best one is
    a linear assignment, solved exactly. Layers are visited in random order until a sweep changes nothing.
    All networks advance together; those that have converged rest.

    Parameters
    ----------
    reference
        One network, parameters of any ``shape``.
    parameters
        n networks, parameters (n, *shape).
    spec
        parameter -> axis -> permutation name; what the reference does not have plays no part.
    iterations
        Sweeps at most.
    generator
        Draws the order of layers.
    """
    target = {name: np.asarray(array, np.float64) for name, array in reference.items()}
    source = {name: np.asarray(array, np.float64) for name, array in parameters.items()}
    n = len(next(iter(source.values())))
    spec = {name: axes for name, axes in spec.items() if name in target}
    counts = unit_counts({name: array.shape for name, array in target.items()}, spec)
    permutations = {name: np.tile(np.arange(units), (n, 1)) for name, units in counts.items()}
    axes = {
        p: [(name, axis) for name, of in spec.items() for axis, q in enumerate(of) if q == p] for p in counts
    }
    scale = np.sqrt(sum((array**2).sum() for array in target.values()) * squared_norms(source))
    sweeps = np.zeros(n, dtype=int)
    objective = [inner_products(target, source)]
    active = np.arange(n)
    with Progress("assignment", None) as report:
        for sweep in range(iterations):
            report.facts.update(
                sweep=f"{sweep + 1} of at most {iterations}", unmatched=f"{len(active)} of {n}"
            )
            gained = np.zeros(len(active))
            for name in generator.permutation(list(counts)):
                rows = {p: permutation[active] for p, permutation in permutations.items()}
                gains = _similarities(target, source, spec, rows, active, axes[name])
                for k, i in enumerate(active):
                    places, units = linear_sum_assignment(gains[k], maximize=True)
                    gain = gains[k][places, units].sum() - gains[k][places, rows[name][k]].sum()
                    if gain > MINIMAL_GAIN * scale[i]:
                        permutations[name][i] = units
                        gained[k] += gain
                    report.advance()
            sweeps[active] += 1
            latest = objective[-1].copy()
            latest[active] += gained
            objective.append(latest)
            active = active[gained > 0]
            if len(active) == 0:
                break
    return Matching(permutations, sweeps, np.stack(objective))


def _similarities(
    target: Mapping[str, np.ndarray],
    source: Mapping[str, np.ndarray],
    spec: PermutationSpec,
    permutations: Permutations,
    active: np.ndarray,
    axes: list[tuple[str, int]],
) -> np.ndarray:
    """Return (active, units, units): entry (u, v) is what placing unit v at u adds to the objective."""
    total: np.ndarray | float = 0.0
    for name, axis in axes:
        array = source[name] if len(active) == len(source[name]) else source[name][active]
        for other, permutation in enumerate(spec[name]):
            if permutation is not None and other != axis:
                array = permute_axis(array, other, permutations[permutation])
        units = array.shape[axis + 1]
        wanted = np.moveaxis(target[name], axis, 0).reshape(units, -1)
        found = np.moveaxis(array, axis + 1, 1).reshape(len(active), units, -1)
        total = total + (found @ wanted.T).transpose(0, 2, 1)
    return np.asarray(total)


def inner_products(reference: Mapping[str, np.ndarray], networks: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the inner product of each of n networks with the reference over all weights, (n,)."""
    parts = [networks[name].reshape(len(networks[name]), -1) @ reference[name].ravel() for name in reference]
    return np.sum(parts, axis=0)


def squared_norms(networks: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the squared Euclidean norm of each of n networks, (n,)."""
    return np.sum([(array.reshape(len(array), -1) ** 2).sum(axis=1) for array in networks.values()], axis=0)
