"""Inner products between generated and training rows: all that distances and shares in a span need."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dwf_steps.runtime.progress import progress
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.subspace.centring import centred_strips
from dwf_steps.subspace.dual_pca import FLOAT64, RANK_TOLERANCE
from dwf_steps.subspace.gram import GramMatrix, distances_among

MOST_SPANNING = 4000  # training networks, beyond which their Gram matrix is not decomposed
GROUP_BYTES = 2**28  # of generated rows that are read at a time
NEGLIGIBLE = float(np.finfo(np.float32).eps) ** 2  # of the training rows' mean square: a row of rounding


@dataclass(frozen=True)
class Products:
    """Inner products of k generated and n training rows, all centred by the training mean.

    A generated row that is not finite has NaN everywhere; it does not touch the others.

    Attributes
    ----------
    training
        (n, n), between training rows.
    across
        (k, n), of generated rows with training rows.
    generated
        (k, k), between generated rows.
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
        """||P x||^2 / ||x||^2 of each generated row x, (k,).

        P = Xc' G^+ Xc projects onto the span of the centred training rows Xc, with the pseudo-inverse of
        their Gram matrix G; so the share is b' G^+ b / ||x||^2 with b = Xc x. The training mean itself lies
        in the span: its share is 1. NaN for more than `MOST_SPANNING` training rows.
        """
        if len(self.training) > MOST_SPANNING:
            return np.full(len(self.across), np.nan)
        values, vectors = np.linalg.eigh((self.training + self.training.T) / 2)
        kept = values > max(RANK_TOLERANCE, 10 * self.rounding) * values[-1]
        explained = (np.square(self.across @ vectors[:, kept]) / values[kept]).sum(axis=1)
        return np.where(self._at_the_mean, 1.0, np.clip(self._shares(explained), 0, 1))

    @property
    def max_squared_cosine(self) -> np.ndarray:
        """The largest squared cosine of each generated row with one training row, (k,).

        Cosines are of centred rows. The training mean has no direction: it is explained by none, 0.
        """
        norms = np.diag(self.training)
        squares = np.square(self.across) / np.where(norms > 0, norms, np.inf)
        return np.where(self._at_the_mean, 0.0, np.clip(self._shares(squares.max(axis=1)), 0, 1))

    def coordinates(self, decoder: np.ndarray) -> np.ndarray:
        """Return the generated rows' coordinates (k, c) in a basis whose components are the combinations
        ``decoder`` (c, n) of centred training rows."""
        return self.across @ decoder.T

    @property
    def _at_the_mean(self) -> np.ndarray:
        """Whether a generated row is the training mean, up to its rounding to float32, (k,)."""
        at_the_mean: np.ndarray = np.diag(self.generated) <= NEGLIGIBLE * np.diag(self.training).mean()
        return at_the_mean

    def _shares(self, squares: np.ndarray) -> np.ndarray:
        norms = np.diag(self.generated)
        return np.divide(squares, norms, out=np.zeros_like(squares), where=norms != 0)


def stream_products(
    matrix: WeightMatrix, k: int, generated: Callable[[slice], np.ndarray], training_gram: GramMatrix
) -> Products:
    """Return the products of k generated rows with each other and with the training rows.

    Streamed by column block in float64; both sides are centred by the training mean first, so that small
    distances between large rows keep their digits. For the same reason the training rows' norms are summed
    again: ``training_gram`` may be less precise.

    Parameters
    ----------
    generated
        Returns the columns asked for, (k, columns).
    training_gram
        Of the rows of ``matrix``. Its diagonal is replaced.
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
