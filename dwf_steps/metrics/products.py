"""Inner products between generated and training rows, which determine distances and shares in a span."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dwf_steps.runtime.progress import progress
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.subspace.centring import centred_strips
from dwf_steps.subspace.dual_pca import FLOAT64, RANK_TOLERANCE
from dwf_steps.subspace.gram import GramMatrix, distances_among

MOST_SPANNING = 4000  # training networks; larger Gram matrices are not decomposed
GROUP_BYTES = 2**28  # of generated rows that are read at a time
NEGLIGIBLE = float(np.finfo(np.float32).eps) ** 2  # of the training rows' mean square: rounding errors only


@dataclass(frozen=True)
class Products:
    """Inner products of k generated and n training rows, all centred by the training mean.

    A generated row that is not finite has NaN in all of its own products; other rows are not affected.

    Attributes
    ----------
    training
        Between training rows, (n, n).
    across
        Between generated and training rows, (k, n).
    generated
        Between generated rows, (k, k).
    rounding
        Relative precision of the products in ``training``, off its diagonal.
    """

    training: np.ndarray
    across: np.ndarray
    generated: np.ndarray
    rounding: float = FLOAT64

    @cached_property
    def distances_to_training(self) -> np.ndarray:
        """Euclidean distances (k, n)."""
        squared = np.diag(self.generated)[:, None] + np.diag(self.training) - 2 * self.across
        return np.sqrt(np.maximum(squared, 0.0))

    @cached_property
    def distances_among_generated(self) -> np.ndarray:
        """Euclidean distances (k, k)."""
        return distances_among(self.generated)

    @property
    def share_in_span(self) -> np.ndarray:
        """Return ||P x||^2 / ||x||^2 of each generated row x, (k,).

        P = Xc' G^+ Xc projects onto the span of the centred training rows Xc, with G^+ the pseudo-inverse of
        their Gram matrix, so the share is b' G^+ b / ||x||^2 with b = Xc x. A row at the training mean, which
        lies in the span, has share 1. NaN for more than `MOST_SPANNING` training rows.
        """
        if len(self.training) > MOST_SPANNING:
            return np.full(len(self.across), np.nan)
        values, vectors = np.linalg.eigh((self.training + self.training.T) / 2)
        kept = values > max(RANK_TOLERANCE, 10 * self.rounding) * values[-1]
        explained = (np.square(self.across @ vectors[:, kept]) / values[kept]).sum(axis=1)
        return np.where(self._at_the_mean, 1.0, np.clip(self._shares(explained), 0, 1))

    @property
    def max_squared_cosine(self) -> np.ndarray:
        """Return the largest squared cosine of each generated row with a training row, (k,).

        Rows are centred by the training mean. A row at the training mean has no direction: its value is 0.
        """
        norms = np.diag(self.training)
        squares = np.square(self.across) / np.where(norms > 0, norms, np.inf)
        return np.where(self._at_the_mean, 0.0, np.clip(self._shares(squares.max(axis=1)), 0, 1))

    def coordinates(self, decoder: np.ndarray) -> np.ndarray:
        """Return the generated rows' coordinates (k, c) in a basis.

        Parameters
        ----------
        decoder
            The basis's components as combinations of centred training rows, (c, n).
        """
        return self.across @ decoder.T

    @property
    def _at_the_mean(self) -> np.ndarray:
        """Return whether each generated row is the training mean up to float32 rounding, (k,)."""
        at_the_mean: np.ndarray = np.diag(self.generated) <= NEGLIGIBLE * np.diag(self.training).mean()
        return at_the_mean

    def _shares(self, squares: np.ndarray) -> np.ndarray:
        norms = np.diag(self.generated)
        return np.divide(squares, norms, out=np.zeros_like(squares), where=norms != 0)


def stream_products(
    matrix: WeightMatrix, k: int, generated: Callable[[slice], np.ndarray], training_gram: GramMatrix
) -> Products:
    """Compute the inner products of k generated rows with each other and with the training rows.

    Column blocks are streamed in float64. Both sides are centred by the training mean first, so that small
    distances between rows of large norm stay accurate. For the same reason the training rows' norms are
    computed again: ``training_gram`` may be less precise.

    Parameters
    ----------
    matrix
        The training rows, followed by held-out rows, which are not used.
    k
        The number of generated rows.
    generated
        Returns a range of columns of the generated rows, (k, columns).
    training_gram
        Gram matrix of the rows of ``matrix``. The diagonal of its training part is overwritten.

    Returns
    -------
    The products.
    """
    n = matrix.n_training
    across, norms = np.zeros((k, n)), np.zeros(n)
    among: np.ndarray | None = None
    for group in progress(matrix.chunk_groups(k, GROUP_BYTES), "group of column blocks"):
        rows = generated(slice(group[0].start, group[-1].stop))
        for columns in group:
            block = rows[:, columns.start - group[0].start : columns.stop - group[0].start]
            strips = centred_strips(matrix.read(columns)[:n], n, np.dtype(np.float64))
            for strip, training, mean in strips:
                others = block[:, strip] - mean
                across += others @ training.T
                products = others @ others.T
                among = products if among is None else np.add(among, products, out=among)
                norms += np.square(training).sum(axis=1)
    assert among is not None, "a matrix has columns"
    among_training = training_gram.products[:n, :n]
    np.fill_diagonal(among_training, norms)
    return Products(among_training, across, among, training_gram.rounding)
