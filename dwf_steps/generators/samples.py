"""What every generator yields: new rows, described relative to the training rows."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dwf_steps.storage.arrays import load_record, save_record


@dataclass(frozen=True)
class Samples:
    """k new networks.

    Row i is ``mean + coefficients[i] @ Xc + offsets[i] + noise_std * e_i`` with the centred training rows
    Xc (n, d) and standard normal e_i: an affine combination of training networks for all but flows on raw
    weights (``offsets``) and the noise control (``noise_std``), so that decoding streams column blocks.

    Attributes
    ----------
    latents
        (k, c), the points in the subspace, as a generator drew them.
    coefficients
        (k, n) float64.
    offsets
        (k, d) float32, or (k, 0) where there are none.
    noise_std
        In units of the weights.
    noise_seed
        Decides e.
    """

    latents: np.ndarray
    coefficients: np.ndarray
    offsets: np.ndarray
    noise_std: float = 0.0
    noise_seed: int = 0

    @classmethod
    def from_latents(cls, latents: np.ndarray, decoder: np.ndarray) -> "Samples":
        """Return the samples at subspace points ``latents`` (k, c) with a basis' ``decoder`` (c, n)."""
        return cls(latents, latents @ decoder, np.empty((len(latents), 0), np.float32))

    def save(self, path: Path) -> None:
        """Write as npz, atomically."""
        save_record(path, self)

    @classmethod
    def load(cls, path: Path) -> "Samples":
        """Read what `save` wrote."""
        return load_record(path, cls)
