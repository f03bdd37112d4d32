"""How a set of generated networks covers the zoo, from distance matrices."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from dwf_steps.metrics.leave_one_out import without_relatives
from dwf_steps.subspace.gram import distances_among, row_blocks


@dataclass(frozen=True)
class PRDC:
    """``precision``, ``recall`` and ``coverage`` lie between 0 and 1; ``density`` may exceed 1. NaN where a
    set has too few points for the neighbours asked for."""

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(radii: np.ndarray, own_radii: np.ndarray, across: np.ndarray, neighbours: int) -> PRDC:
    """Return precision, recall, density and coverage of k generated against n real points.

    The ball of a point reaches to the ``neighbours``-th nearest other point of its own set. Precision is
    the share of generated points in a real ball, recall the share of real points in a generated ball
    (Kynkaanniemi et al. 2019); density is the mean number of real balls around a generated point over
    ``neighbours``, coverage the share of real balls with a generated point (Naeem et al. 2020).
    Balls contain their boundary.

    Parameters
    ----------
    radii, own_radii
        (n,) of the real points' balls, (k,) of the generated points'.
    across
        Distances (k, n).
    neighbours
        That the radii reach to.
    """
    if np.isnan(radii).any() or np.isnan(own_radii).any():
        return PRDC(np.nan, np.nan, np.nan, np.nan)
    inside_real = across <= radii
    inside_generated = across <= own_radii[:, None]
    return PRDC(
        precision=float(inside_real.any(axis=1).mean()),
        recall=float(inside_generated.any(axis=0).mean()),
        density=float(inside_real.sum(axis=1).mean() / neighbours),
        coverage=float(inside_real.any(axis=0).mean()),
    )


def neighbourhood_radii(distances: np.ndarray, neighbours: int) -> np.ndarray:
    """Return each point's distance to its ``neighbours``-th nearest other point, (k,); NaN if there are not
    so many.

    Parameters
    ----------
    distances
        (k, n) of some points of a set to all of it, infinite from each to what does not count.
    """
    if distances.shape[1] <= neighbours:
        return np.full(len(distances), np.nan)
    radii = np.partition(distances, neighbours - 1, axis=1)[:, neighbours - 1]
    return np.where(np.isinf(radii), np.nan, radii)


def own_radii(distances: np.ndarray, neighbours: int) -> np.ndarray:
    """Return `neighbourhood_radii` of the points of a set, from their distances (k, k) to each other."""
    themselves = np.arange(len(distances))
    others = (
        without_relatives(distances[rows], themselves, rows=rows) for rows in row_blocks(*distances.shape)
    )
    return np.concatenate([neighbourhood_radii(some, neighbours) for some in others])


def wasserstein(across: np.ndarray) -> float:
    """Return the 2-Wasserstein distance between two sets of m points, weighted equally.

    sqrt(min over matchings s of mean_i d(i, s(i))^2): with equal weights an optimal transport is a matching
    (Peyre & Cuturi 2019, section 2.3), found exactly.

    Parameters
    ----------
    across
        Distances (m, m) between the sets.

    Raises
    ------
    ValueError
        If the sets differ in size.
    """
    if across.shape[0] != across.shape[1]:
        raise ValueError(
            f"found sets of {across.shape[0]} and {across.shape[1]} points, expected equal sizes"
        )
    costs = np.square(across)
    return float(np.sqrt(costs[linear_sum_assignment(costs)].mean()))


@dataclass(frozen=True)
class Transport:
    """2-Wasserstein ``distance`` from generated networks to the zoo's, and ``baseline`` from the zoo's to
    others of the zoo; all between sets of ``size`` networks."""

    distance: float
    baseline: float
    size: int


def wasserstein_to_zoo(
    across: np.ndarray,
    zoo_gram: np.ndarray,
    trajectories: np.ndarray,
    draws: np.random.Generator,
    repeats: int = 5,
) -> Transport:
    """Return the 2-Wasserstein distance of k generated networks to n of the zoo, beside its baseline.

    The distance between two finite samples of one distribution is far from 0 and falls with their size, so
    both are measured at the same size m = min(k, n // 2): the baseline from a random half of the zoo to
    another, the distance from m random generated networks to the same half. Means of ``repeats``. Halves are
    of trainings, where networks are checkpoints of them.

    Parameters
    ----------
    across
        Distances (k, n).
    zoo_gram
        Gram matrix (n, n) of the zoo.
    trajectories
        Which training each network of the zoo is of, (n,).
    draws
        Chooses the networks.

    Raises
    ------
    ValueError
        If there is no generated network, or fewer than two trainings in the zoo.
    """
    k = len(across)
    trainings, counts = np.unique(trajectories, return_counts=True)
    in_half = len(trainings) // 2
    size = min(k, in_half * int(counts.min()))
    if size == 0:
        raise ValueError(
            f"found {k} generated networks and {len(trainings)} trainings in the zoo, expected at least 1 "
            "and 2"
        )
    pairs = []
    for _ in range(repeats):
        order = draws.permutation(trainings)
        half, other = (
            draws.permutation(np.flatnonzero(np.isin(trajectories, of)))[:size]
            for of in (order[:in_half], order[in_half : 2 * in_half])
        )
        chosen = draws.permutation(k)[:size]
        own = distances_among(zoo_gram, other, half)
        pairs.append((wasserstein(across[np.ix_(chosen, half)]), wasserstein(own)))
    distance, baseline = np.mean(pairs, axis=0)
    return Transport(float(distance), float(baseline), size)


def mean_over_pairs(values: np.ndarray) -> float:
    """Return the mean of (n, n) values over all pairs of two different networks.

    Raises
    ------
    ValueError
        If there are fewer than two.
    """
    n = len(values)
    if n < 2:
        raise ValueError(f"found {n} networks in a set, expected at least 2")
    return float((values.sum() - np.trace(values)) / (n * (n - 1)))
