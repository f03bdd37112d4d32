"""What a zoo's own networks would score as generated ones: each against all the others."""

import numpy as np

from dwf_steps.metrics.products import MOST_SPANNING
from dwf_steps.subspace.gram import EVERY


def share_in_span(gram: np.ndarray) -> np.ndarray:
    """Return the share of each row inside the affine span of the others, (n,).

    With h the distance of a row from the others' affine span, and s its distance from their mean, the share
    is 1 - h^2 / s^2. h^2 is the reciprocal of the diagonal of the centred Gram matrix' pseudo-inverse (the
    altitudes of a simplex; Fiedler 2011, "Matrices and Graphs in Geometry", section 1.3). A row that is an
    affine combination of others, so that it takes part in the null space, has no altitude and a share of 1.
    NaN for more than `MOST_SPANNING` rows.

    Parameters
    ----------
    gram
        (n, n), rows centred by their mean.
    """
    n = len(gram)
    if n > MOST_SPANNING:
        return np.full(n, np.nan)
    values, vectors = np.linalg.eigh(gram)
    kept = values > 1e-10 * values[-1]
    from_others = (n / (n - 1)) ** 2 * np.diag(gram)
    inverse = np.square(vectors[:, kept] / np.sqrt(values[kept])).sum(axis=1)
    independent = np.square(vectors[:, kept]).sum(axis=1) > 1 - 1 / n - 1e-8
    shares = np.ones(n)
    shares[independent] -= 1 / (inverse * from_others)[independent]
    return shares


def explained_by_one(gram: np.ndarray, rows: slice = EVERY) -> np.ndarray:
    """Return how much of each row, seen from the others' mean, the best of the others explains, (k,).

    That is the largest squared cosine between the two. Seen from the mean of all but row i, row i lies at
    n / (n - 1) times its centred position x_i, and row j at x_j + x_i / (n - 1).

    Parameters
    ----------
    gram
        (n, n), rows centred by their mean.
    rows
        Which k of them.
    """
    n, squares = len(gram), np.diag(gram)
    own, among = squares[rows, None], gram[rows]
    products = (n / (n - 1)) * (among + own / (n - 1))
    lengths = squares[None, :] + 2 * among / (n - 1) + own / (n - 1) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = np.nan_to_num(products**2 / ((n / (n - 1)) ** 2 * own * lengths))
    return without_themselves(cosines, 0.0, rows).max(axis=1)


def without_themselves(values: np.ndarray, instead: float = np.inf, rows: slice = EVERY) -> np.ndarray:
    """Return values (k, n) of each of the networks ``rows`` with all n, with ``instead`` for its own."""
    result = values.astype(np.float64)
    result[np.arange(len(result)), np.arange(values.shape[1])[rows]] = instead
    return result
