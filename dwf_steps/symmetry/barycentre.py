"""The barycentre of many networks: a mean, and the alignment of all networks to it."""

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
    """The barycentre of aligned networks, and how it was reached.

    Attributes
    ----------
    network
        The mean network, with arrays (*shape), or the reference if networks are no closer together when
        aligned to their mean. With activation matching, responses (rows, units) by layer instead.
    spreads
        The root mean square distance of the aligned networks to their mean in each round, (rounds,): aligned
        to the reference, then to the mean of the previous round. It never increases; the last value is that
        of the networks aligned to ``network``.
    """

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
    """Align networks to a reference, then repeatedly to their mean, until their spread stops decreasing.

    Generalised Procrustes analysis (Gower 1975, doi:10.1007/BF02291478) with permutations. MergeMany of Git
    Re-Basin (arXiv 2209.04836, appendix) instead matches one network at a time to the mean of the others.

    Each round starts from the original networks, not from those the last round aligned: coordinate ascent
    would stay close to its start, and networks that are not part of the mean could not be treated alike.

    Parameters
    ----------
    spec
        Symmetries of the networks.
    groups
        Yields the networks, some at a time, with arrays (n, *shape); called once per round.
    reference
        The network that the first round aligns to, with arrays (*shape).
    before
        Methods to apply before the ``matching``, as `remove_symmetries` does.
    matching
        The method that matches units; its ``rounds`` limit the number of means.
    responding
        Computes responses; required by activation matching, which finds a barycentre of responses.

    Returns
    -------
    The barycentre and the spreads.

    Raises
    ------
    ValueError
        If activation matching is given no responses.
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
        logger.info("round %d: root mean square distance to the mean %.6g", len(spreads), spread)
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
    """Return the mean network, float64, and the root mean square distance of the networks to it.

    Only the arrays ``parameters`` contribute to the distance.
    """
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
    """Return a network in the reference's precision, in which its file will store it."""
    return {name: array.astype(reference[name].dtype) for name, array in network.items()}
