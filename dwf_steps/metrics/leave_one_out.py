"""Measures of the training networks themselves, each compared with the networks of other training runs.

The ``trajectories`` of n networks, integers (n,), number the training runs that they are checkpoints of:
networks of the same run are left out together. They are `np.arange(n)` for independently trained networks.
"""

import numpy as np

from dwf_steps.metrics.products import MOST_SPANNING
from dwf_steps.subspace.gram import EVERY, distances_among, row_blocks


def share_in_span(gram: np.ndarray, trajectories: np.ndarray) -> np.ndarray:
    """Return the share of each row inside the affine span of the rows of other trajectories.

    With h the distance of a row from that span and s its distance from the mean of those rows, the share is 1
    - h^2 / s^2. The squared residuals of the rows S of one trajectory are the diagonal of (P_SS)^-1 with P
    the pseudo-inverse of the centred Gram matrix G: the minimum of w'Gw over affine combinations w with given
    values on S. For a single row this is 1 / P_ii, its altitude in a simplex (Fiedler 2011, "Matrices and
    Graphs in Geometry", section 1.3). Components of S that null combinations of rows contain have no residual
    and are projected out.

    Parameters
    ----------
    gram
        Gram matrix (n, n) of the rows, centred by their mean.
    trajectories
        The training run of each row, (n,).

    Returns
    -------
    Shares, (n,); NaN if there are more than `MOST_SPANNING` rows.
    """
    n = len(gram)
    if n > MOST_SPANNING:
        return np.full(n, np.nan)
    values, vectors = np.linalg.eigh(gram)
    kept = values > 1e-10 * values[-1]
    vectors, scaled = vectors[:, kept], vectors[:, kept] / np.sqrt(values[kept])
    shares = np.empty(n)
    for one in np.unique(trajectories):
        rows = np.flatnonzero(trajectories == one)
        null = np.eye(len(rows)) - vectors[rows] @ vectors[rows].T - 1 / n
        sizes, directions = np.linalg.eigh(null)
        paying = directions[:, sizes <= 1e-8]
        inverse = paying.T @ (scaled[rows] @ scaled[rows].T) @ paying
        residuals = np.einsum("ij,jk,ik->i", paying, np.linalg.inv(inverse), paying)
        own = gram[np.ix_(rows, rows)]
        to_mean, mean = own.sum(axis=1) / (n - len(rows)), own.sum() / (n - len(rows)) ** 2
        shares[rows] = 1 - residuals / (np.diag(own) + 2 * to_mean + mean)
    return shares


def max_squared_cosine(gram: np.ndarray, trajectories: np.ndarray, rows: slice = EVERY) -> np.ndarray:
    """Return the largest squared cosine of each row with a row of another trajectory.

    The origin is the mean of all rows of other trajectories. With the rows S of a trajectory left out, it
    lies at -sum_S x / (n - |S|).

    Parameters
    ----------
    gram
        Gram matrix (n, n) of the rows, centred by their mean.
    trajectories
        The training run of each row, (n,).
    rows
        The k rows to compute it for.

    Returns
    -------
    Squared cosines, (k,).
    """
    squares = np.diag(gram)
    own, among = squares[rows], gram[rows]
    kinds, which, counts = np.unique(trajectories, return_inverse=True, return_counts=True)
    present, place = np.unique(which[rows], return_inverse=True)
    others = len(gram) - counts[present]
    # Products of every row with the mean of the other trajectories, one for each trajectory among ``rows``.
    with_mean = np.stack([-gram[trajectories == kinds[k]].sum(axis=0) for k in present]) / others[:, None]
    means = np.array(
        [-w[trajectories == kinds[k]].sum() / c for k, w, c in zip(present, with_mean, others, strict=True)]
    )[place]
    with_mean = with_mean[place]
    own_with_mean = np.take_along_axis(with_mean, np.arange(len(gram))[rows][:, None], axis=1)[:, 0]
    products = among - own_with_mean[:, None] - with_mean + means[:, None]
    lengths = squares - 2 * with_mean + means[:, None]
    own_lengths = own - 2 * own_with_mean + means
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = np.nan_to_num(products**2 / (own_lengths[:, None] * lengths))
    return without_relatives(cosines, trajectories, 0.0, rows).max(axis=1)


def nearest_others(gram: np.ndarray, trajectories: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest training network of another trajectory, for training and held-out networks.

    Parameters
    ----------
    gram
        Gram matrix (n + h, n + h), the n training networks first.
    trajectories
        The training run of each training network, (n,).

    Returns
    -------
    Indices of the nearest training networks and the distances to them, each (n + h,).
    """
    n = len(trajectories)
    nearest, distances = [np.empty(0, np.intp)], [np.empty(0)]
    for rows in row_blocks(n, n):
        apart = distances_among(gram[:n, :n], rows)
        apart = without_relatives(apart, trajectories, rows=rows)
        nearest.append(apart.argmin(axis=1))
        distances.append(apart.min(axis=1))
    if len(gram) > n:
        apart = distances_among(gram, slice(n, None), slice(n))
        nearest.append(apart.argmin(axis=1))
        distances.append(apart.min(axis=1))
    return np.concatenate(nearest), np.concatenate(distances)


def without_relatives(
    values: np.ndarray, trajectories: np.ndarray, instead: float = np.inf, rows: slice | np.ndarray = EVERY
) -> np.ndarray:
    """Mask the values of networks with networks of their own trajectory.

    Parameters
    ----------
    values
        A measure of the networks ``rows`` with all n networks, (k, n).
    trajectories
        The training run of each of the n networks, (n,).
    instead
        The value to insert.
    rows
        The k networks.

    Returns
    -------
    A copy in float64, (k, n).
    """
    result = values.astype(np.float64)
    result[trajectories[rows][:, None] == trajectories] = instead
    return result
