"""Bases of small training sets."""

import numpy as np

from dwf_steps.subspace.basis import Basis, dual_pca, raw_basis


def basis_of(rows: np.ndarray, components: int | None) -> Basis:
    """Return the dual PCA of training rows (n, d), or the raw basis where no components are asked for."""
    centred = rows - rows.mean(axis=0)
    gram = centred @ centred.T
    return raw_basis(gram, len(rows)) if components is None else dual_pca(gram, len(rows), components)
