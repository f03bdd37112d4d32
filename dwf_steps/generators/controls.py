"""Controls: what a flow must beat. Each is a few lines over the training coordinates."""

import numpy as np

from dwf_steps.config.controls import (
    CopyConfig,
    DrawnControl,
    GaussianConfig,
    HeldOutConfig,
    InterpolationConfig,
    KernelDensityConfig,
    NoiseConfig,
    ParameterGaussianConfig,
    SoupConfig,
)
from dwf_steps.generators.samples import Samples
from dwf_steps.runtime.randomness import derive_seed, numpy_generator
from dwf_steps.storage.arrays import evenly
from dwf_steps.subspace.basis import Basis


def sample_control(control: DrawnControl, basis: Basis) -> Samples:
    """Draw networks from a control."""
    draws = numpy_generator(f"sample {control.kind}", control.sampling.seed)
    k, seed = control.sampling.samples, control.sampling.seed
    match control:
        case GaussianConfig():
            return gaussian(basis, k, control.scale, draws)
        case KernelDensityConfig():
            return kernel_density(basis, k, control.bandwidth, draws)
        case ParameterGaussianConfig():
            return parameter_gaussian(basis, k, control.scale, seed)
        case InterpolationConfig():
            return interpolation(basis, k, control.weight, draws)
        case NoiseConfig():
            return noise(basis, k, control.std, seed, draws)
        case SoupConfig():
            return soup(basis, k, control.networks, draws)
        case CopyConfig():
            return copy(basis, k, draws)
        case HeldOutConfig():
            return held_out(basis, k)


def gaussian(basis: Basis, n_samples: int, scale: float, draws: np.random.Generator) -> Samples:
    """Draw from N(mean, scale^2 covariance) of the training coordinates Z (n, k)."""
    return Samples.from_latents(scale * _like_covariance(basis, n_samples, draws), basis)


def kernel_density(
    basis: Basis, n_samples: int, bandwidth: float | None, draws: np.random.Generator
) -> Samples:
    """Draw z_i + h e from a training network's coordinates z_i, with e of the training covariance.

    The kernel density of Scott 1992 (chapter 6), his bandwidth h = n^(-1 / (k + 4)) by default. As in
    `scipy.stats.gaussian_kde` the samples' covariance exceeds the training networks' by a factor 1 + h^2.
    """
    n = basis.n_training
    chosen = basis.points(_one_hot(draws.integers(n, size=n_samples), n))
    h = n ** (-1 / (basis.dimension + 4)) if bandwidth is None else bandwidth
    return Samples.from_latents(chosen + h * _like_covariance(basis, n_samples, draws), basis)


def parameter_gaussian(basis: Basis, n_samples: int, scale: float, seed: int) -> Samples:
    """Draw every weight from N(mean, (scale std)^2) of its own over the training networks (the baseline of
    Zeng et al. 2025)."""
    noise_seed = derive_seed("per-parameter noise", seed)
    latents, coefficients = np.zeros((n_samples, basis.dimension)), np.zeros((n_samples, basis.n_training))
    return Samples(latents, coefficients, _no_offsets(n_samples), scale, noise_seed, True)


def interpolation(basis: Basis, n_samples: int, weight: float, draws: np.random.Generator) -> Samples:
    """Draw (1 - w) a + w b with two different training networks a and b, drawn at random."""
    n = basis.n_training
    first = draws.integers(n, size=n_samples)
    second = (first + draws.integers(1, n, size=n_samples)) % n
    mixing = np.zeros((n_samples, n))
    mixing[np.arange(n_samples), first] += 1 - weight
    mixing[np.arange(n_samples), second] += weight
    return _mixture(basis, mixing)


def noise(basis: Basis, n_samples: int, std: float, seed: int, draws: np.random.Generator) -> Samples:
    """Draw a + std e: a training network drawn at random, plus isotropic noise in all of weight space
    (the baseline of Zeng et al. 2025)."""
    n = basis.n_training
    copies = _mixture(basis, _one_hot(draws.integers(n, size=n_samples), n))
    noise_seed = derive_seed("isotropic noise", seed)
    return Samples(copies.latents, copies.coefficients, copies.offsets, std, noise_seed)


def soup(basis: Basis, n_samples: int, networks: int, draws: np.random.Generator) -> Samples:
    """Draw the mean of different training networks (Wortsman et al. 2022, arXiv 2203.05482, uniform soup)."""
    n = basis.n_training
    mixing = np.zeros((n_samples, n))
    for row in mixing:
        row[draws.permutation(n)[:networks]] = 1 / networks
    return _mixture(basis, mixing)


def copy(basis: Basis, n_samples: int, draws: np.random.Generator) -> Samples:
    """Draw training networks, none twice before all were drawn once."""
    n = basis.n_training
    rounds = [draws.permutation(n) for _ in range(-(-n_samples // n))]
    return _mixture(basis, _one_hot(np.concatenate(rounds)[:n_samples], n))


def held_out(basis: Basis, n_samples: int) -> Samples:
    """Return held-out networks, evenly spaced: of checkpoints some of every trajectory."""
    n, h = basis.n_training, len(basis.held_out_coordinates)
    rows = evenly(n_samples, h)
    return Samples(basis.held_out_coordinates[rows], _one_hot(n + rows, n + h), _no_offsets(n_samples))


def _like_covariance(basis: Basis, n_samples: int, draws: np.random.Generator) -> np.ndarray:
    """Draw from N(0, Z'Z / (n - 1)) as e Z / sqrt(n - 1) with standard normal e (n)."""
    n = basis.n_training
    return basis.points(draws.standard_normal((n_samples, n))) / np.sqrt(n - 1)


def _mixture(basis: Basis, mixing: np.ndarray) -> Samples:
    """Return the affine combinations ``mixing`` (k, n), rows summing to one, of whole training networks.

    They are combined in weight space itself, not through a truncated subspace.
    """
    return Samples(basis.points(mixing), mixing, _no_offsets(len(mixing)))


def _one_hot(chosen: np.ndarray, width: int) -> np.ndarray:
    """Return (k, width), each row one at its chosen place and else zero."""
    rows = np.zeros((len(chosen), width))
    rows[np.arange(len(chosen)), chosen] = 1
    return rows


def _no_offsets(n_samples: int) -> np.ndarray:
    return np.empty((n_samples, 0), np.float32)
