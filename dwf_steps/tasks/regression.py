"""How good regressors are: n networks' predictions (n, m) for targets (m,)."""

import numpy as np


def mean_absolute_error(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the mean of |prediction - target|, (n,)."""
    return np.abs(predictions - targets).mean(axis=1)


def r2(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the coefficient of determination 1 - sum (y - f)^2 / sum (y - mean y)^2, (n,)."""
    return 1 - np.square(predictions - targets).sum(axis=1) / np.square(targets - targets.mean()).sum()


def spearman(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return Spearman's rank correlation, ties at their mean rank, (n,); NaN for constant predictions."""
    # Imported here: it takes half a second, and most networks classify.
    from scipy.stats import rankdata

    ranks, wanted = rankdata(predictions, axis=1), rankdata(targets)
    ranks, wanted = ranks - ranks.mean(axis=1, keepdims=True), wanted - wanted.mean()
    with np.errstate(invalid="ignore"):
        return ranks @ wanted / np.sqrt(np.square(ranks).sum(axis=1) * np.square(wanted).sum())
