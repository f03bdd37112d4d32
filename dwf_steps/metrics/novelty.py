"""How new networks are: overlap of their mistakes."""

import numpy as np


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
