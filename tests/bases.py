"""Bases of small training sets."""

import numpy as np

from dwf_steps.subspace.basis import Basis, raw_basis
from dwf_steps.subspace.dual_pca import dual_pca


def basis_of(rows: np.ndarray, components: int | None, held_out: int = 0) -> Basis:
    """Return the dual PCA of rows (n + held_out, d), training rows first, or the raw basis where no
    components are asked for."""
    n = len(rows) - held_out
    centred = rows - rows[:n].mean(axis=0)
    gram = centred @ centred.T
    return raw_basis(gram, n) if components is None else dual_pca(gram, n, components)
