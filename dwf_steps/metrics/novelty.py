"""How new networks are: overlap of their mistakes and distances in weight space."""

import numpy as np

from dwf_steps.storage.matrix import WeightMatrix


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


def squared_distances_to_training(matrix: WeightMatrix, generated: np.ndarray) -> np.ndarray:
    """Return the squared Euclidean distances (k, n) from generated rows (k, d) to the training rows.

    Streamed by column block in float64; both sides are centred by the training mean first, so that small
    distances between large rows keep their digits.
    """
    n = matrix.n_training
    cross = np.zeros((len(generated), n))
    training_norms, generated_norms = np.zeros(n), np.zeros(len(generated))
    for columns in matrix.column_blocks():
        training = matrix.read(columns)[:n].astype(np.float64)
        mean = training.mean(axis=0)
        training -= mean
        rows = generated[:, columns].astype(np.float64) - mean
        cross += rows @ training.T
        training_norms += (training**2).sum(axis=1)
        generated_norms += (rows**2).sum(axis=1)
    return np.maximum(generated_norms[:, None] + training_norms[None, :] - 2 * cross, 0.0)
