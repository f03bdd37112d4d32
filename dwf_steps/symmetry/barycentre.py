"""The barycentre of many networks: the mean that they are closest together aligned to."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dwf_steps.config.canonicalization import ActivationMatching, Matching, Method
from dwf_steps.storage.stacked import NetworkState, StackedNetworks
from dwf_steps.symmetry.activation_matching import Responding, matched_responses, required
from dwf_steps.symmetry.canonical import goal_of, remove_symmetries
from dwf_steps.symmetry.git_rebasin import squared_norms
from dwf_steps.symmetry.spec import SymmetrySpec

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Barycentre:
    """``network``, arrays of a network's shapes, or its layers' responses (rows, units), and ``spreads``,
    (targets,): how far networks lie from their mean in these, root mean square, aligned to the reference,
    then to one mean after another. They never rise; the last one is of networks aligned to ``network``."""

    network: NetworkState[np.ndarray]
    spreads: np.ndarray


def barycentre_of(
    spec: SymmetrySpec,
    groups: Callable[[], Iterable[StackedNetworks[np.ndarray]]],
    reference: NetworkState[np.ndarray],
    before: list[Method],
    matching: Matching,
    responding: Responding | None = None,
) -> Barycentre:
    """Align networks to a reference, then to their mean, and again, until that brings them no closer to it.

    Generalised Procrustes analysis (Gower 1975, doi:10.1007/BF02291478) with permutations. MergeMany of Git
    Re-Basin (arXiv 2209.04836, appendix) matches one network at a time instead, to the mean of the others.

    Each round matches networks as they are, not as the last round left them: coordinate ascent would stay
    near where it was, and networks that are no part of the mean could not be treated alike.

    Parameters
    ----------
    spec
        What their architecture states.
    groups
        Yields the networks, arrays (n, *shape) of some at a time; called once for each target.
    before
        Methods applied before the ``matching``, as `remove_symmetries` does.
    responding
        What networks respond, where they are matched by it: the barycentre is then one of responses.
    """
    one = StackedNetworks.of_one(reference)
    moved = remove_symmetries(spec, one, reference, before, responding=responding)
    start = _stored_as(reference, moved.reference)
    found = goal = goal_of(matching, start, responding)
    names = list(goal) if isinstance(matching, ActivationMatching) else spec.parameters

    def aligned(goal: NetworkState[np.ndarray]) -> Iterator[StackedNetworks[np.ndarray]]:
        for some in groups():
            if isinstance(matching, ActivationMatching):
                plain = remove_symmetries(spec, some, reference, before, responding=responding).networks
                yield from matched_responses(goal, plain, required(responding))
            else:
                methods = [*before, matching]
                yield remove_symmetries(spec, some, reference, methods, goal, responding).networks

    spreads: list[float] = []
    for _ in range(matching.rounds + 1):
        mean, spread = _mean(names, aligned(goal))
        logger.info("aligned to mean %d: %.6g from their mean, root mean square", len(spreads), spread)
        if spreads and spread > spreads[-1]:
            break
        spreads.append(spread)
        found, goal = goal, _stored_as(found, mean)
        if all(np.array_equal(goal[name], array) for name, array in found.items()):
            break
    return Barycentre(found, np.array(spreads))


def _mean(
    parameters: Sequence[str], groups: Iterable[StackedNetworks[np.ndarray]]
) -> tuple[NetworkState[np.ndarray], float]:
    """Return the mean of networks, float64, and the root mean square distance of their parameters to it."""
    total: NetworkState[np.ndarray] = {}
    n, squares = 0, 0.0
    for networks in groups:
        n += networks.count
        squares += squared_norms(networks.only(parameters)).sum()
        for name, array in networks.items():
            total[name] = array.sum(axis=0, dtype=np.float64) + total.get(name, 0.0)
    mean = {name: array / n for name, array in total.items()}
    of_mean = squared_norms(StackedNetworks.of_one(mean).only(parameters))
    return mean, float(np.sqrt(max(0.0, squares / n - of_mean.item())))


def _stored_as(
    reference: NetworkState[np.ndarray], network: NetworkState[np.ndarray]
) -> NetworkState[np.ndarray]:
    """Return a network as its file will have it, so that what is found is what others will align to."""
    return {name: array.astype(reference[name].dtype) for name, array in network.items()}
