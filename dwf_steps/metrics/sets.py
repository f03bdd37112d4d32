"""Coverage of the zoo by a set of generated networks, computed from distance matrices."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from dwf_steps.metrics.leave_one_out import without_relatives
from dwf_steps.subspace.gram import distances_among, row_blocks


@dataclass(frozen=True)
class PRDC:
    """Precision, recall, density and coverage of generated points; NaN if a set has too few points.

    Attributes
    ----------
    precision, recall, coverage
        Between 0 and 1.
    density
        At least 0; may exceed 1.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(radii: np.ndarray, own_radii: np.ndarray, across: np.ndarray, neighbours: int) -> PRDC:
    """Return precision, recall, density and coverage of k generated points with respect to n real ones.

    The ball of a point reaches to the ``neighbours``-th nearest other point of its own set, and contains its
    boundary. Precision is the share of generated points in a real ball; recall is the share of real points in
    a generated ball (Kynkaanniemi et al. 2019). Density is the mean number of real balls that contain a
    generated point, divided by ``neighbours``; coverage is the share of real balls that contain a generated
    point (Naeem et al. 2020).

    Parameters
    ----------
    radii, own_radii
        Radii of the real points' balls, (n,), and of the generated points', (k,).
    across
        Distances between generated and real points, (k, n).
    neighbours
        The number of neighbours that the radii were computed with.

    Returns
    -------
    The four measures; NaN if a radius is NaN.
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
    """Return each point's distance to its ``neighbours``-th nearest other point.

    Parameters
    ----------
    distances
        From k points of a set to all of its n points, (k, n); infinite to points that do not count, such as
        the point itself.
    neighbours
        At least 1.

    Returns
    -------
    Radii, (k,); NaN where fewer points count than ``neighbours``.
    """
    if distances.shape[1] <= neighbours:
        return np.full(len(distances), np.nan)
    radii = np.partition(distances, neighbours - 1, axis=1)[:, neighbours - 1]
    return np.where(np.isinf(radii), np.nan, radii)


def own_radii(distances: np.ndarray, neighbours: int) -> np.ndarray:
    """Return `neighbourhood_radii` of all points of a set.

    Parameters
    ----------
    distances
        Between the points, (k, k).
    neighbours
        At least 1.

    Returns
    -------
    Radii, (k,); NaN if there are no more than ``neighbours`` points.
    """
    themselves = np.arange(len(distances))
    others = (
        without_relatives(distances[rows], themselves, rows=rows) for rows in row_blocks(*distances.shape)
    )
    return np.concatenate([neighbourhood_radii(some, neighbours) for some in others])


def wasserstein(across: np.ndarray) -> float:
    """Return the 2-Wasserstein distance between two sets of m equally weighted points.

    It is sqrt(min over matchings s of mean_i d(i, s(i))^2): for equal weights an optimal transport plan is a
    matching (Peyre & Cuturi 2019, section 2.3), which is found exactly.

    Parameters
    ----------
    across
        Distances between the sets, (m, m).

    Returns
    -------
    The distance, in the unit of ``across``.

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
    """2-Wasserstein distances between sets of equal size.

    Attributes
    ----------
    distance
        Between generated networks and networks of the zoo.
    baseline
        Between two disjoint sets of the zoo's networks.
    size
        Networks in each set.
    """

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
    """Return the 2-Wasserstein distance of k generated networks to n networks of the zoo, with a baseline.

    The distance between two finite samples of the same distribution is well above 0 and falls with their
    size. Therefore both are measured between sets of the same size m, which is min(k, n // 2) for
    independently trained networks: the baseline between m networks of a random half of the zoo and m of the
    other half, the distance between m random generated networks and the same m of the first half. Checkpoints
    of the same training run are in the same half.

    Parameters
    ----------
    across
        Distances between generated networks and the zoo's, (k, n).
    zoo_gram
        Gram matrix of the zoo, (n, n).
    trajectories
        The training run of each network of the zoo, (n,).
    draws
        Source of randomness.
    repeats
        The number of random divisions to average over.

    Returns
    -------
    Mean distance and mean baseline.

    Raises
    ------
    ValueError
        If there is no generated network, or fewer than two training runs in the zoo.
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
    """Return the mean over all pairs of different networks.

    Parameters
    ----------
    values
        A measure of all pairs, (n, n).

    Returns
    -------
    The mean, without the diagonal.

    Raises
    ------
    ValueError
        If there are fewer than two networks.
    """
    n = len(values)
    if n < 2:
        raise ValueError(f"found {n} networks in a set, expected at least 2")
    return float((values.sum() - np.trace(values)) / (n * (n - 1)))
