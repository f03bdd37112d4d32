"""Where a flow starts: a Gaussian over latents."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.subspace.basis import Basis
from dwf_steps.subspace.centring import centred_strips


@dataclass(frozen=True)
class Source:
    """The Gaussian with ``mean`` (k,) and covariance F'F for ``factor`` F, both in float32.

    F is (k, k), or (k,) for a diagonal; a single number stands for all coordinates.
    """

    mean: Tensor
    factor: Tensor

    def at(self, noise: Tensor) -> Tensor:
        """Return the points (n, k) that standard normal ``noise`` (n, k) stands for."""
        return self.mean + (noise @ self.factor if self.factor.dim() == 2 else noise * self.factor)


STANDARD = Source(torch.tensor(0.0), torch.tensor(1.0))


def kaiming_source(
    basis: Basis, matrix: WeightMatrix, std: np.ndarray, shift: np.ndarray, scale: np.ndarray
) -> Source:
    """Return the distribution of initialised networks as latents.

    Weights are independent, N(0, std^2) (He et al. 2015), and latents are affine in them; so the source is
    Gaussian, and its mean and covariance follow in one pass over the weight matrix.

    Parameters
    ----------
    std
        (d,), of each initial weight; 0 where it starts at zero.
    shift, scale
        A latent times ``scale`` plus ``shift`` is a coordinate of the subspace, or a weight relative to the
        training mean; numbers, or (d,).
    """
    n = matrix.n_training
    if basis.raw:
        blocks = (matrix.read(columns)[:n] for columns in matrix.column_blocks())
        mean = np.concatenate([block.mean(axis=0, dtype=np.float64) for block in blocks])
        return _source((-mean - shift) / scale, std / scale)
    k = len(basis.decoder)
    mean, covariance = np.zeros(k), np.zeros((k, k))
    for columns in matrix.column_blocks():
        own = std[columns]
        for strip, training, weights in centred_strips(matrix.read(columns)[:n], n, np.dtype(np.float64)):
            components = basis.decoder @ training
            mean -= components @ weights
            covariance += (components * np.square(own[strip])) @ components.T
    values, vectors = np.linalg.eigh(covariance)
    factor = np.sqrt(np.maximum(values, 0))[:, None] * vectors.T
    return _source((mean - shift) / scale, factor / scale)


def _source(mean: np.ndarray, factor: np.ndarray) -> Source:
    return Source(torch.from_numpy(mean).float(), torch.from_numpy(factor).float())
