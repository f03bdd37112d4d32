"""How new networks are: overlap of their mistakes and distances in weight space."""

from collections.abc import Callable

import numpy as np

from dwf_steps.progress import progress
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.subspace.centring import centred_strips

GROUP_BYTES = 2**28  # of generated rows that are compared at a time


def wrong_set_iou(wrong: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return |Wa and Wb| / |Wa or Wb| of the sets of misclassified test items, (a, b).

    The similarity of p-diff (Wang et al. 2024, arXiv 2402.13144). Two networks without any mistake are
    alike: their similarity is 1.

    Parameters
    ----------
    wrong, other
        (a, m) and (b, m) bool.
    """
    a, b = wrong.astype(np.float32), other.astype(np.float32)
    shared = (a @ b.T).astype(np.float64)
    union = wrong.sum(axis=1)[:, None] + other.sum(axis=1)[None, :] - shared
    return np.divide(shared, union, out=np.ones_like(shared), where=union > 0)


def squared_distances_to_training(
    matrix: WeightMatrix, k: int, generated: Callable[[slice], np.ndarray]
) -> np.ndarray:
    """Return the squared Euclidean distances (k, n) from k generated rows to the training rows.

    Streamed by column block in float64; both sides are centred by the training mean first, so that small
    distances between large rows keep their digits.

    Parameters
    ----------
    generated
        Returns the columns asked for, (k, columns).
    """
    n = matrix.n_training
    sums = np.zeros((k, n))
    for group in progress(matrix.chunk_groups(k, GROUP_BYTES), "group of column blocks"):
        rows = generated(slice(group[0].start, group[-1].stop))
        for columns in group:
            block = rows[:, columns.start - group[0].start : columns.stop - group[0].start]
            strips = centred_strips(matrix.read(columns)[:n], n, np.dtype(np.float64))
            for strip, training, mean in strips:
                others = block[:, strip] - mean
                sums += np.square(others).sum(axis=1)[:, None] + np.square(training).sum(axis=1)
                sums -= 2 * others @ training.T
    return np.maximum(sums, 0.0)
