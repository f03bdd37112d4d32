"""Controls: what a flow must beat. Each is a few lines over the training coordinates."""

import numpy as np

from dwf_steps.config.generator import ControlConfig, GaussianConfig, InterpolationConfig, NoiseConfig
from dwf_steps.generators.samples import Samples
from dwf_steps.randomness import derive_seed, numpy_generator
from dwf_steps.subspace.basis import Basis


def sample_control(control: ControlConfig, basis: Basis) -> Samples:
    """Draw networks from a control."""
    draws = numpy_generator(f"sample {control.kind}", control.sampling.seed)
    n_samples = control.sampling.samples
    match control:
        case GaussianConfig():
            return gaussian(basis, n_samples, draws)
        case InterpolationConfig():
            return interpolation(basis, n_samples, control.weight, draws)
        case NoiseConfig():
            return noise(basis, n_samples, control.std, control.sampling.seed, draws)


def gaussian(basis: Basis, n_samples: int, draws: np.random.Generator) -> Samples:
    """Draw from N(mean, covariance) of the training coordinates Z (n, k).

    z = e Z / sqrt(n - 1) with standard normal e (n) has covariance Z'Z / (n - 1).
    """
    n = len(basis.coordinates)
    weights = draws.standard_normal((n_samples, n)) / np.sqrt(n - 1)
    return Samples.from_latents(weights @ basis.coordinates, basis.decoder)


def interpolation(basis: Basis, n_samples: int, weight: float, draws: np.random.Generator) -> Samples:
    """Draw (1 - w) a + w b with two different training networks a and b, drawn at random."""
    n = len(basis.coordinates)
    first = draws.integers(n, size=n_samples)
    second = (first + draws.integers(1, n, size=n_samples)) % n
    mixing = np.zeros((n_samples, n))
    mixing[np.arange(n_samples), first] += 1 - weight
    mixing[np.arange(n_samples), second] += weight
    return _mixture(basis, mixing)


def noise(basis: Basis, n_samples: int, std: float, seed: int, draws: np.random.Generator) -> Samples:
    """Draw a + std e: a training network drawn at random, plus isotropic noise in all of weight space
    (the baseline of Zeng et al. 2025)."""
    n = len(basis.coordinates)
    mixing = np.zeros((n_samples, n))
    mixing[np.arange(n_samples), draws.integers(n, size=n_samples)] = 1
    copies = _mixture(basis, mixing)
    return Samples(
        copies.latents, copies.coefficients, copies.offsets, std, derive_seed("isotropic noise", seed)
    )


def _mixture(basis: Basis, mixing: np.ndarray) -> Samples:
    """Return the affine combinations ``mixing`` (k, n), rows summing to one, of whole training networks.

    They are combined in weight space itself, not through a truncated subspace.
    """
    return Samples(mixing @ basis.coordinates, mixing, np.empty((len(mixing), 0), np.float32))
