"""Regression: the task, and scores of n networks' predictions (n, m) for targets (m,)."""

import numpy as np
import torch
from torch import Tensor

from dwf_steps.tasks.base import Scores, Task
from dwf_steps.tasks.similarity import root_mean_square


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


class Regression(Task):
    """Outputs and targets are numbers, targets from 0 to 1, the loss the squared error on that scale. Mean
    absolute errors and differences are in the target's own unit.

    Parameters
    ----------
    tolerance
        How far from its target a prediction may be to count as right, on the scale from 0 to 1.
    scale
        How many of the target's own units that scale spans.
    """

    dtype = np.float32

    def __init__(self, tolerance: float, scale: float = 1.0) -> None:
        self.tolerance, self.scale = tolerance, scale

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs[..., 0] - targets).square()

    def answers(self, outputs: Tensor) -> Tensor:
        """Return the numbers themselves."""
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
        """Return which interval, twice the tolerance wide, from 0 to 1 the numbers lie in; the first has 0 in
        its middle."""
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
