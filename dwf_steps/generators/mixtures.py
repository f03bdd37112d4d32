"""Linear combinations of training networks, which most controls consist of."""

import numpy as np

from dwf_steps.generators.samples import Samples
from dwf_steps.subspace.basis import Basis


def like_covariance(basis: Basis, n_samples: int, draws: np.random.Generator) -> np.ndarray:
    """Draw from a centred Gaussian with the covariance of the training networks' coordinates Z.

    Draws are e Z / sqrt(n - 1) for standard normal e (n,), with covariance Z'Z / (n - 1).

    Parameters
    ----------
    basis
        The subspace, with coordinates Z, (n, k).
    n_samples
        Number of draws, s.
    draws
        Source of the random numbers.

    Returns
    -------
    The draws, (s, k).
    """
    n = basis.n_training
    return basis.points(draws.standard_normal((n_samples, n))) / np.sqrt(n - 1)


def kernel_mixing(n: int, samples: int, bandwidth: float, draws: np.random.Generator) -> np.ndarray:
    """Draw the mixing weights of a kernel density estimate of n points.

    A draw is a point z_i plus h e Z / sqrt(n - 1), for the centred points Z (n, k) and standard normal e
    (n,): its noise has h^2 times the points' covariance.

    Parameters
    ----------
    n
        Number of points.
    samples
        Number of draws.
    bandwidth
        h.
    draws
        Source of the random numbers.

    Returns
    -------
    The weights of the points in each draw, (samples, n).
    """
    chosen = one_hot(draws.integers(n, size=samples), n)
    return chosen + bandwidth * draws.standard_normal((samples, n)) / np.sqrt(n - 1)


def mixture(basis: Basis, mixing: np.ndarray) -> Samples:
    """Combine whole training networks.

    Combinations are taken in weight space, not in a truncated subspace.

    Parameters
    ----------
    basis
        The subspace.
    mixing
        Weights of the training networks, (k, n), with rows that sum to one.

    Returns
    -------
    k samples.
    """
    return Samples(basis.points(mixing), mixing, no_offsets(len(mixing)))


def one_hot(chosen: np.ndarray, width: int) -> np.ndarray:
    """Encode indices as one-hot rows.

    Parameters
    ----------
    chosen
        The indices, (k,).
    width
        Length of a row.

    Returns
    -------
    The rows, (k, width) float64.
    """
    rows = np.zeros((len(chosen), width))
    rows[np.arange(len(chosen)), chosen] = 1
    return rows


def no_offsets(n_samples: int) -> np.ndarray:
    """Make the empty offsets of samples that have none.

    Parameters
    ----------
    n_samples
        Number of samples, k.

    Returns
    -------
    An empty array, (k, 0) float32.
    """
    return np.empty((n_samples, 0), np.float32)
