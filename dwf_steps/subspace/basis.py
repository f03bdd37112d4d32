"""A basis of a subspace, in dual form."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dwf_steps.config.subspace import Solver
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.randomness import derive_seed
from dwf_steps.storage.arrays import load_record, save_record

FLOAT64 = float(np.finfo(np.float64).eps)
RANK_TOLERANCE = 1e-12  # of the largest eigenvalue, and ten roundings: below it a direction is noise
POWER_ITERATIONS = 7
FIRST_GUESS = 64  # components, where a share of the variance is asked for


@dataclass(frozen=True)
class Basis:
    """Components as combinations of the n centred training rows Xc, so that no (k, d) array is needed.

    A point z of the subspace is the network ``mean + z @ decoder @ Xc``. Without a reduction (``raw``) flows
    read raw centred weights, and points of controls are the coefficients of training rows themselves: all
    matrices would be identities, and have no columns instead.

    Attributes
    ----------
    coordinates
        (n, k), of the training networks.
    held_out_coordinates
        (h, k), of the held-out networks, projected.
    decoder
        (k, n): each component as a combination of centred training rows.
    variances
        (k,), of the training coordinates along each component (divisor n - 1).
    total_variance
        Trace of the training rows' covariance: the denominator of explained variance.
    raw
        Whether the subspace is all of weight space.
    """

    coordinates: np.ndarray
    held_out_coordinates: np.ndarray
    decoder: np.ndarray
    variances: np.ndarray
    total_variance: float
    raw: bool = False

    @property
    def n_training(self) -> int:
        """n."""
        return len(self.coordinates)

    @property
    def dimension(self) -> int:
        """k; n without a reduction."""
        return self.n_training if self.raw else self.coordinates.shape[1]

    def points(self, mixing: np.ndarray) -> np.ndarray:
        """Return the points (s, k) of mixtures (s, n) of training networks."""
        return mixing if self.raw else mixing @ self.coordinates

    def coefficients(self, points: np.ndarray) -> np.ndarray:
        """Return which combinations (s, n) of centred training rows points (s, k) of the subspace are."""
        return points if self.raw else points @ self.decoder

    @property
    def explained_variance_ratio(self) -> np.ndarray:
        """Share of the total variance along each component, (k,)."""
        return self.variances / self.total_variance

    def save(self, path: Path) -> None:
        """Write as npz, atomically."""
        save_record(path, self)

    @classmethod
    def load(cls, path: Path) -> "Basis":
        """Read what `save` wrote."""
        return load_record(path, cls)


def dual_pca(
    gram: np.ndarray,
    n_training: int,
    components: int | None = None,
    variance: float | None = None,
    solver: Solver = "exact",
    rounding: float = FLOAT64,
) -> Basis:
    """Return the PCA of the training rows from their centred Gram matrix.

    With G = Xc Xc' = U diag(l) U', the components are l^(-1/2) U' Xc and the coordinates U l^(1/2)
    (Schoelkopf et al. 1998; DeepWeightFlow's dual PCA, arXiv 2601.05052). Signs are fixed so that the
    largest entry of each eigenvector is positive.

    Parameters
    ----------
    gram
        (n + h, n + h), training rows first, all centred by the training mean.
    n_training
        n.
    components, variance
        Either a number of components or the share of the total variance to keep.
    solver
        ``randomized`` computes no more eigenvectors than are kept.
    rounding
        Relative precision of the products in ``gram``.

    Raises
    ------
    InputError
        If the training rows span fewer dimensions than asked for.
    """
    training = gram[:n_training, :n_training]
    training = (training + training.T) / 2
    total = float(np.trace(training))
    if not total > 0:
        raise _identical(n_training)
    if components is not None:
        kept, u = _eigenpairs(training, components, solver, rounding)
        if len(kept) < components:
            raise InputError(
                f"components: found {components}, but the {n_training} training networks span only "
                f"{len(kept)} dimensions (some may be equal, or combinations of others); ask for at most "
                f"{len(kept)}"
            )
    else:
        kept, u = _eigenpairs_explaining((variance or 1.0) * total, training, solver, rounding)
    u = u * np.sign(u[np.abs(u).argmax(axis=0), np.arange(len(kept))])
    decoder = (u / np.sqrt(kept)).T
    return Basis(
        coordinates=u * np.sqrt(kept),
        held_out_coordinates=gram[n_training:, :n_training] @ decoder.T,
        decoder=decoder,
        variances=kept / (n_training - 1),
        total_variance=total / (n_training - 1),
    )


def _eigenpairs(
    gram: np.ndarray, count: int, solver: Solver, rounding: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ``count`` largest eigenvalues and their vectors; fewer where the rest is rounding."""
    if solver == "exact" or 2 * count >= len(gram):
        values, vectors = np.linalg.eigh(gram)
        values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
    else:
        # Imported here: scikit-learn takes a second that the exact solver need not pay.
        from sklearn.utils.extmath import randomized_svd

        seed = derive_seed("randomized eigendecomposition") % 2**32
        vectors, values, _ = randomized_svd(gram, count, n_iter=POWER_ITERATIONS, random_state=seed)
    rank = int((values > max(RANK_TOLERANCE, 10 * rounding) * values[0]).sum())
    return values[:rank], vectors[:, :rank]


def _eigenpairs_explaining(
    variance: float, gram: np.ndarray, solver: Solver, rounding: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the fewest eigenpairs whose values add up to ``variance``; all there are if they do not."""
    count = len(gram) if solver == "exact" else FIRST_GUESS
    while True:
        values, vectors = _eigenpairs(gram, count, solver, rounding)
        explained = np.cumsum(values) >= variance - 1e-12 * np.trace(gram)
        if explained.any() or len(values) < count or count >= len(gram):
            break
        count *= 2
    kept = int(explained.argmax()) + 1 if explained.any() else len(values)
    return values[:kept], vectors[:, :kept]


def raw_basis(gram: np.ndarray, n_training: int) -> Basis:
    """Return the trivial basis: every training row is its own coordinate.

    Raises
    ------
    InputError
        If all training rows are the same.
    """
    training = gram[:n_training, :n_training]
    total = float(np.trace(training)) / (n_training - 1)
    if total == 0:
        raise _identical(n_training)
    return Basis(
        coordinates=np.empty((n_training, 0)),
        held_out_coordinates=np.empty((len(gram) - n_training, 0)),
        decoder=np.empty((0, n_training)),
        variances=np.array([total]),
        total_variance=total,
        raw=True,
    )


def _identical(n_training: int) -> InputError:
    return InputError(
        f"all {n_training} training networks are identical: their weights span no subspace; use "
        "different seeds"
    )
