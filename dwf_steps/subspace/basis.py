"""A basis of a subspace, in dual form."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dwf_steps.errors import InputError
from dwf_steps.storage.arrays import load_record, save_record

RANK_TOLERANCE = 1e-12  # of the largest eigenvalue; below it a direction is rounding noise


@dataclass(frozen=True)
class Basis:
    """Components as combinations of the n centred training rows Xc, so that no (k, d) array is needed.

    A point z of the subspace is the network ``mean + z @ decoder @ Xc``.

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
        Whether the subspace is all of weight space, where flows read raw centred weights instead of
        coordinates. ``coordinates`` and ``decoder`` are then the identity, which is what the controls need.
    """

    coordinates: np.ndarray
    held_out_coordinates: np.ndarray
    decoder: np.ndarray
    variances: np.ndarray
    total_variance: float
    raw: bool = False

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
    gram: np.ndarray, n_training: int, components: int | None = None, variance: float | None = None
) -> Basis:
    """Return the exact PCA of the training rows from their centred Gram matrix.

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

    Raises
    ------
    InputError
        If the training rows span fewer dimensions than asked for.
    """
    training = gram[:n_training, :n_training]
    total = float(np.trace(training))
    eigenvalues, vectors = np.linalg.eigh((training + training.T) / 2)
    eigenvalues, vectors = eigenvalues[::-1], vectors[:, ::-1]
    rank = int((eigenvalues > RANK_TOLERANCE * max(eigenvalues[0], 0.0)).sum()) if total > 0 else 0
    if rank == 0:
        raise _identical(n_training)
    if components is None:
        share = np.cumsum(eigenvalues[:rank]) / total
        components = min(rank, int(np.searchsorted(share, (variance or 1.0) - 1e-12)) + 1)
    if components > rank:
        raise InputError(
            f"components: found {components}, but the {n_training} training networks span only {rank} "
            f"dimensions (some may be equal, or combinations of others); ask for at most {rank}"
        )
    kept, u = eigenvalues[:components], vectors[:, :components]
    u = u * np.sign(u[np.abs(u).argmax(axis=0), np.arange(components)])
    decoder = (u / np.sqrt(kept)).T
    return Basis(
        coordinates=u * np.sqrt(kept),
        held_out_coordinates=gram[n_training:, :n_training] @ decoder.T,
        decoder=decoder,
        variances=kept / (n_training - 1),
        total_variance=total / (n_training - 1),
    )


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
        coordinates=np.eye(n_training),
        held_out_coordinates=np.zeros((len(gram) - n_training, n_training)),
        decoder=np.eye(n_training),
        variances=np.array([total]),
        total_variance=total,
        raw=True,
    )


def _identical(n_training: int) -> InputError:
    return InputError(
        f"all {n_training} training networks are identical: their weights span no subspace; use "
        "different seeds"
    )
