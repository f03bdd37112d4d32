"""scikit-learn's IncrementalPCA, converted to dual form for decoding."""

import numpy as np
from sklearn.decomposition import IncrementalPCA

from dwf_steps.subspace.basis import ReducedBasis


def incremental_pca(
    rows: np.ndarray, gram: np.ndarray, n_training: int, components: int, batch_size: int | None
) -> ReducedBasis:
    """Fit IncrementalPCA to the training rows and express its components as combinations of them.

    The components lie in the span of the centred training rows, C = A Xc, so A solves A G = C Xc'.

    Parameters
    ----------
    rows
        Weights (n + h, d), training rows first.
    gram
        Gram matrix (n + h, n + h), centred by the training mean.
    n_training
        The number of training rows, n.
    components
        The number of components, k.
    batch_size
        Rows per update; None for all training rows.

    Returns
    -------
    The basis of k components.
    """
    training = rows[:n_training]
    pca = IncrementalPCA(components, batch_size=batch_size or n_training).fit(training)
    mean = training.mean(axis=0, dtype=np.float64)
    coordinates = (training - mean) @ pca.components_.T.astype(np.float64)
    g = gram[:n_training, :n_training]
    decoder = np.linalg.lstsq(g, coordinates, rcond=1e-12)[0].T
    return ReducedBasis(
        coordinates=coordinates,
        held_out_coordinates=(rows[n_training:] - mean) @ pca.components_.T.astype(np.float64),
        decoder=decoder,
        variances=coordinates.var(axis=0, ddof=1),
        total_variance=float(np.trace(g)) / (n_training - 1),
    )
