"""Overlap of the networks' mistakes."""

import numpy as np

from dwf_steps.subspace.gram import row_blocks


def wrong_set_iou(wrong: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the intersection over union of the sets of misclassified test items, for all pairs.

    The similarity of p-diff (Wang et al. 2024, arXiv 2402.13144).

    Parameters
    ----------
    wrong, other
        The items that each network is wrong about, bool (a, m) and (b, m).

    Returns
    -------
    |Wa and Wb| / |Wa or Wb|, between 0 and 1, (a, b); 1 for two networks without mistakes.
    """
    a, b = wrong.astype(np.float32), other.astype(np.float32)
    sizes, others = wrong.sum(axis=1), other.sum(axis=1)
    similar = np.ones((len(a), len(b)))
    for rows in row_blocks(len(a), len(b)):
        shared = (a[rows] @ b.T).astype(np.float64)
        union = sizes[rows, None] + others[None, :] - shared
        np.divide(shared, union, out=similar[rows], where=union > 0)
    return similar
