"""Sets of networks compared as sets, from the distances between them."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment


@dataclass(frozen=True)
class PRDC:
    """``precision`` and ``density``: are generated networks where real ones are? ``recall`` and ``coverage``:
    are all real ones reached? All in [0, 1] but density, which can exceed 1."""

    precision: float
    recall: float
    density: float
    coverage: float


@dataclass(frozen=True)
class Transport:
    """The ``distance`` from generated networks to the zoo, and between halves of the zoo, ``baseline``, both
    for sets of ``size`` networks."""

    distance: float
    baseline: float
    size: int


def prdc(real: np.ndarray, generated: np.ndarray, across: np.ndarray, neighbours: int = 5) -> PRDC:
    """Return precision, recall, density and coverage.

    A set's manifold is the union of balls around its points that reach to their k-th neighbour. Precision:
    share of generated points within the real manifold; recall: share of real points within the generated one
    (Kynkaanniemi et al. 2019, arXiv 1904.06991). Density: mean number of real balls that a generated point
    lies in, divided by k; coverage: share of real balls with a generated point (Naeem et al. 2020, arXiv
    2002.09797).

    Parameters
    ----------
    real, generated, across
        Distances (n, n), (k, k) and (k, n).

    Raises
    ------
    ValueError
        If a set has no ``neighbours``-th neighbours.
    """
    if neighbours >= min(len(real), len(generated)):
        raise ValueError(
            f"neighbours: found {neighbours} for {len(real)} real and {len(generated)} generated points; "
            "each point needs so many others"
        )
    real_radius = np.partition(real, neighbours, axis=1)[:, neighbours]
    generated_radius = np.partition(generated, neighbours, axis=1)[:, neighbours]
    inside = across <= real_radius
    return PRDC(
        precision=float(inside.any(axis=1).mean()),
        recall=float((across <= generated_radius[:, None]).any(axis=0).mean()),
        density=float(inside.sum(axis=1).mean() / neighbours),
        coverage=float(inside.any(axis=0).mean()),
    )


def wasserstein(across: np.ndarray) -> float:
    """Return the 2-Wasserstein distance between two sets of m points, (m, m) distances apart.

    With equal weights the optimal transport plan is an assignment (Birkhoff): the root of the smallest mean
    squared distance over all pairings, found exactly.
    """
    squared = np.square(across)
    return float(np.sqrt(squared[linear_sum_assignment(squared)].mean()))


def wasserstein_to_zoo(
    across: np.ndarray, zoo: np.ndarray, draws: np.random.Generator, repeats: int = 5
) -> Transport:
    """Return how far k generated networks are from the zoo's n, beside how far halves of the zoo are apart.

    The distance between finite samples depends on their size, so both are for m = min(k, n // 2) networks:
    the zoo is divided at random into A and B; the baseline is the distance of A from B, the other that of m
    random generated networks from A; averaged over ``repeats`` divisions.

    Parameters
    ----------
    across, zoo
        Distances (k, n) and (n, n).
    """
    k, n = across.shape
    size = min(k, n // 2)
    found = []
    for _ in range(repeats):
        order, chosen = draws.permutation(n), draws.permutation(k)[:size]
        first, second = order[:size], order[size : 2 * size]
        found.append((wasserstein(across[np.ix_(chosen, first)]), wasserstein(zoo[np.ix_(second, first)])))
    distance, baseline = np.mean(found, axis=0)
    return Transport(float(distance), float(baseline), size)


def dispersion_ratio(generated: np.ndarray, zoo: np.ndarray) -> float:
    """Return the mean distance between two generated networks, (k, k), over that between two of the zoo's,
    (n, n): below 1 they are less diverse."""
    return off_diagonal_mean(generated) / off_diagonal_mean(zoo)


def off_diagonal_mean(matrix: np.ndarray) -> float:
    """Return the mean over all pairs of different networks, of (n, n); NaN for a single one."""
    n = len(matrix)
    return float((matrix.sum() - np.trace(matrix)) / (n * (n - 1))) if n > 1 else np.nan
