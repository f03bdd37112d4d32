"""Combinations of training networks, which most controls are."""

import numpy as np

from dwf_steps.generators.samples import Samples
from dwf_steps.subspace.basis import Basis


def like_covariance(basis: Basis, n_samples: int, draws: np.random.Generator) -> np.ndarray:
    """Draw from N(0, Z'Z / (n - 1)) as e Z / sqrt(n - 1) with standard normal e (n)."""
    n = basis.n_training
    return basis.points(draws.standard_normal((n_samples, n))) / np.sqrt(n - 1)


def kernel_mixing(n: int, samples: int, bandwidth: float, draws: np.random.Generator) -> np.ndarray:
    """Return how much of each of n centred points Z (n, k) draws from their kernel density are, (samples, n):
    a point z_i plus h e Z / sqrt(n - 1), with bandwidth h and standard normal e: noise with h^2 times the
    points' covariance."""
    chosen = one_hot(draws.integers(n, size=samples), n)
    return chosen + bandwidth * draws.standard_normal((samples, n)) / np.sqrt(n - 1)


def mixture(basis: Basis, mixing: np.ndarray) -> Samples:
    """Return the affine combinations ``mixing`` (k, n), rows summing to one, of whole training networks.

    They are combined in weight space itself, not through a truncated subspace.
    """
    return Samples(basis.points(mixing), mixing, no_offsets(len(mixing)))


def one_hot(chosen: np.ndarray, width: int) -> np.ndarray:
    """Return (k, width), each row one at its chosen place and else zero."""
    rows = np.zeros((len(chosen), width))
    rows[np.arange(len(chosen)), chosen] = 1
    return rows


def no_offsets(n_samples: int) -> np.ndarray:
    """Return the offsets of samples that have none, (k, 0)."""
    return np.empty((n_samples, 0), np.float32)
