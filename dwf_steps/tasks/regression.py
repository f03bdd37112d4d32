"""Regression: the task, and scores of the predictions of many networks."""

import numpy as np
import torch
from torch import Tensor

from dwf_steps.tasks.base import Scores, Task
from dwf_steps.tasks.similarity import root_mean_square


def mean_absolute_error(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Compute the mean of |prediction - target|.

    Parameters
    ----------
    predictions
        (n, m).
    targets
        (m,).

    Returns
    -------
    (n,), in the targets' unit.
    """
    return np.abs(predictions - targets).mean(axis=1)


def r2(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Compute the coefficient of determination, 1 - sum (y - f)^2 / sum (y - mean y)^2.

    Parameters
    ----------
    predictions
        f, (n, m).
    targets
        y, (m,).

    Returns
    -------
    (n,), at most 1.
    """
    return 1 - np.square(predictions - targets).sum(axis=1) / np.square(targets - targets.mean()).sum()


def spearman(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Compute Spearman's rank correlation, with the mean rank for ties.

    Parameters
    ----------
    predictions
        (n, m).
    targets
        (m,).

    Returns
    -------
    (n,), in [-1, 1]; NaN for constant predictions.
    """
    # Imported here because it takes half a second, and most tasks are classification.
    from scipy.stats import rankdata

    ranks, wanted = rankdata(predictions, axis=1), rankdata(targets)
    ranks, wanted = ranks - ranks.mean(axis=1, keepdims=True), wanted - wanted.mean()
    with np.errstate(invalid="ignore"):
        return ranks @ wanted / np.sqrt(np.square(ranks).sum(axis=1) * np.square(wanted).sum())


class Regression(Task):
    """Outputs and targets are numbers, with targets on a scale from 0 to 1.

    The loss is the squared error on that scale; mean absolute errors and differences are in the target's own
    unit.

    Parameters
    ----------
    tolerance
        Largest error of a prediction that counts as correct, on the scale from 0 to 1.
    scale
        The range of the target, in its own unit, that corresponds to the scale from 0 to 1.
    """

    dtype = np.float32

    def __init__(self, tolerance: float, scale: float = 1.0) -> None:
        self.tolerance, self.scale = tolerance, scale

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs[..., 0] - targets).square()

    def answers(self, outputs: Tensor) -> Tensor:
        """Return the outputs."""
        return outputs

    def distillation_losses(self, outputs: Tensor, answers: Tensor) -> Tensor:
        """Return the squared error on the targets' scale."""
        return (outputs[..., 0] - answers[..., 0]).square()

    def right(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs[..., 0] - targets).abs() <= self.tolerance

    def predictions(self, outputs: Tensor) -> Tensor:
        return outputs.masked_fill(~outputs.isfinite(), torch.nan).float()

    def wrong(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return ~(np.abs(predictions[..., 0] - targets) <= self.tolerance)

    def choices(self, predictions: np.ndarray) -> np.ndarray:
        """Return the interval, twice the tolerance wide, of each number; the first is centred on 0."""
        nearest = np.round(np.nan_to_num(predictions[..., 0]) / (2 * self.tolerance))
        return nearest.clip(0, np.ceil(1 / (2 * self.tolerance))).astype(np.intp)

    def scores(self, predictions: np.ndarray, targets: np.ndarray) -> Scores:
        numbers, wanted = predictions[..., 0].astype(np.float64), targets.astype(np.float64)
        return {
            "accuracy": (~self.wrong(predictions, targets)).mean(axis=1),
            "loss": np.square(numbers - wanted).mean(axis=1),
            "spearman": spearman(numbers, wanted),
            "r2": r2(numbers, wanted),
            "mean_absolute_error": self.scale * mean_absolute_error(numbers, wanted),
        }

    def distances(self, predictions: np.ndarray, others: np.ndarray) -> np.ndarray:
        return root_mean_square(predictions[..., 0], others[..., 0])

    def divergences(self, predictions: np.ndarray, others: np.ndarray) -> Scores:
        return {"mean_absolute_difference": self.scale * np.abs(predictions - others).mean(axis=(1, 2))}

    def mixture(self, members: np.ndarray) -> np.ndarray:
        return members.mean(axis=0, dtype=np.float32)
