"""PCA of the training rows, computed from their Gram matrix."""

import numpy as np

from dwf_steps.config.subspace import Solver
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.randomness import derive_seed
from dwf_steps.subspace.basis import ReducedBasis, identical_networks

FLOAT64 = float(np.finfo(np.float64).eps)
RANK_TOLERANCE = 1e-12  # relative to the largest eigenvalue; smaller ones are rounding errors
POWER_ITERATIONS = 7
FIRST_GUESS = 64  # components, if a share of the variance is requested


def dual_pca(
    gram: np.ndarray,
    n_training: int,
    components: int | None = None,
    variance: float | None = None,
    solver: Solver = "exact",
    rounding: float = FLOAT64,
) -> ReducedBasis:
    """Compute the PCA of the training rows from their centred Gram matrix.

    With G = Xc Xc' = U diag(l) U', the components are l^(-1/2) U' Xc and the coordinates U l^(1/2)
    (Schoelkopf et al. 1998; DeepWeightFlow's dual PCA, arXiv 2601.05052). Signs are chosen so that each
    eigenvector's entry of largest magnitude is positive.

    Parameters
    ----------
    gram
        Gram matrix (n + h, n + h), training rows first, all centred by the training mean.
    n_training
        The number of training rows, n.
    components
        The number of components to keep, or None.
    variance
        The share of the total variance to keep, between 0 and 1, if ``components`` is None; None keeps all.
    solver
        ``exact``, or ``randomized``, which only computes the leading eigenvectors.
    rounding
        Relative precision of the products in ``gram``.

    Returns
    -------
    The principal components.

    Raises
    ------
    InputError
        If the training rows are all equal, or span fewer dimensions than ``components``.
    """
    training = gram[:n_training, :n_training]
    training = (training + training.T) / 2
    total = float(np.trace(training))
    if not total > 0:
        raise identical_networks(n_training)
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
    return ReducedBasis(
        coordinates=u * np.sqrt(kept),
        held_out_coordinates=gram[n_training:, :n_training] @ decoder.T,
        decoder=decoder,
        variances=kept / (n_training - 1),
        total_variance=total / (n_training - 1),
    )


def _eigenpairs(
    gram: np.ndarray, count: int, solver: Solver, rounding: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ``count`` largest eigenvalues and their vectors, without those that are rounding errors."""
    if solver == "exact" or 2 * count >= len(gram):
        values, vectors = np.linalg.eigh(gram)
        values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
    else:
        # Imported here: the import takes a second, and the exact solver does not need scikit-learn.
        from sklearn.utils.extmath import randomized_svd

        seed = derive_seed("randomized eigendecomposition") % 2**32
        vectors, values, _ = randomized_svd(gram, count, n_iter=POWER_ITERATIONS, random_state=seed)
    rank = int((values > max(RANK_TOLERANCE, 10 * rounding) * values[0]).sum())
    return values[:rank], vectors[:, :rank]


def _eigenpairs_explaining(
    variance: float, gram: np.ndarray, solver: Solver, rounding: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the leading eigenpairs whose values first add up to ``variance``; all if they do not."""
    count = len(gram) if solver == "exact" else FIRST_GUESS
    while True:
        values, vectors = _eigenpairs(gram, count, solver, rounding)
        explained = np.cumsum(values) >= variance - 1e-12 * np.trace(gram)
        if explained.any() or len(values) < count or count >= len(gram):
            break
        count *= 2
    kept = int(explained.argmax()) + 1 if explained.any() else len(values)
    return values[:kept], vectors[:, :kept]
