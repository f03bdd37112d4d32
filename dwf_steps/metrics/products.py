"""Inner products of generated networks' weights, from which distances and projections follow."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dwf_steps.progress import progress
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.subspace.centring import centred_strips

GROUP_BYTES = 2**28  # of generated rows that are compared at a time
RANK_TOLERANCE = 1e-10  # of the largest eigenvalue; what is smaller is rounding


@dataclass(frozen=True)
class Products:
    """Inner products of k networks and n training networks, all centred by the training mean.

    Attributes
    ----------
    training
        (n, n), of the training networks.
    across
        (k, n), of the networks with the training networks.
    generated
        (k, k), of the networks.
    """

    training: np.ndarray
    across: np.ndarray
    generated: np.ndarray

    @cached_property
    def distances_to_training(self) -> np.ndarray:
        """Euclidean distances to the training networks, (k, n)."""
        return _distances(np.diag(self.generated), np.diag(self.training), self.across)

    @cached_property
    def distances_among_generated(self) -> np.ndarray:
        """Euclidean distances among the networks, (k, k)."""
        return _distances(np.diag(self.generated), np.diag(self.generated), self.generated)

    @cached_property
    def distances_among_training(self) -> np.ndarray:
        """Euclidean distances among the training networks, (n, n)."""
        return _distances(np.diag(self.training), np.diag(self.training), self.training)

    @property
    def share_in_span(self) -> np.ndarray:
        """The share |P x|^2 / |x|^2 of each network's deviation x from the training mean that lies in the
        training networks' affine span, (k,); 1 for the mean itself.

        With G = U diag(l) U' and products a with the training networks, |P x|^2 = |l^(-1/2) U' a|^2.
        """
        values, vectors = np.linalg.eigh(self.training)
        kept = values > RANK_TOLERANCE * values[-1]
        inside = np.square(self.across @ vectors[:, kept] / np.sqrt(values[kept])).sum(axis=1)
        return _ratio(inside, np.diag(self.generated), 1.0)

    @property
    def explained_by_one(self) -> np.ndarray:
        """The largest squared cosine of each network's deviation from the training mean with that of a
        single training network, (k,); 0 for the mean itself."""
        norms = np.diag(self.generated)[:, None] * np.diag(self.training)
        return _ratio(np.square(self.across), norms, 0.0).max(axis=1)

    def coordinates(self, decoder: np.ndarray) -> np.ndarray:
        """Return the networks' coordinates (k, c) in the subspace of a basis with this decoder (c, n)."""
        return self.across @ decoder.T


def stream_products(
    matrix: WeightMatrix, k: int, generated: Callable[[slice], np.ndarray], gram: np.ndarray
) -> Products:
    """Return the products of k generated networks, in one pass over the weight matrix.

    Both sides are centred by the training mean block by block, so that small distances between large rows
    keep their digits; products are added in float64.

    Parameters
    ----------
    generated
        Returns the columns asked for, (k, columns).
    gram
        Products of the matrix' rows, training rows first, centred by the training mean.
    """
    n = matrix.n_training
    across, among = np.zeros((k, n)), np.zeros((k, k))
    for group in progress(matrix.chunk_groups(k, GROUP_BYTES), "group of column blocks"):
        rows = generated(slice(group[0].start, group[-1].stop))
        for columns in group:
            block = rows[:, columns.start - group[0].start : columns.stop - group[0].start]
            strips = centred_strips(matrix.read(columns)[:n], n, np.dtype(np.float64))
            for strip, training, mean in strips:
                others = block[:, strip] - mean
                across += others @ training.T
                among += others @ others.T
    return Products(gram[:n, :n], across, among)


def _distances(squares: np.ndarray, other_squares: np.ndarray, products: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(squares[:, None] + other_squares[None, :] - 2 * products, 0))


def _ratio(part: np.ndarray, whole: np.ndarray, otherwise: float) -> np.ndarray:
    return np.divide(part, whole, out=np.full_like(part, otherwise), where=whole > 0)
