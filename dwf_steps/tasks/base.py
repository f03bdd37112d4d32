"""What networks are asked, to classify or to predict a number, and how good their answers are."""

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dwf_steps.storage.outputs import LOWEST
from dwf_steps.tasks import classification, regression
from dwf_steps.tasks.similarity import hellinger, paired_jensen_shannon, root_mean_square

Scores = dict[str, np.ndarray]


class Task(ABC):
    """Networks return outputs (n, b, c); what is kept of them are ``predictions`` (n, m, c) for m items with
    ``targets`` (m,)."""

    dtype: type[np.floating]
    """Of predictions that are kept."""

    @abstractmethod
    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of every output, (n, b); ``targets`` (n, b) or (b,)."""

    @abstractmethod
    def right(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return which outputs are right, (n, b) bool; ``targets`` as for `losses`."""

    @abstractmethod
    def predictions(self, outputs: Tensor) -> Tensor:
        """Return what is kept of outputs; NaN where they are not finite."""

    @abstractmethod
    def wrong(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return which items each network is wrong about, (n, m) bool; about all it has no prediction for."""

    @abstractmethod
    def choices(self, predictions: np.ndarray) -> np.ndarray:
        """Return which of a few answers each prediction comes down to, (n, m), from 0."""

    @abstractmethod
    def scores(self, predictions: np.ndarray, targets: np.ndarray) -> Scores:
        """Return how good networks are, each (n,): ``accuracy``, ``loss``, and the task's own."""

    @abstractmethod
    def distances(self, predictions: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return how far apart networks are by what they say, a metric, (a, b)."""

    @abstractmethod
    def divergences(self, predictions: np.ndarray, others: np.ndarray) -> Scores:
        """Return how far each network is from the other of its place, (n,)."""

    @abstractmethod
    def mixture(self, members: np.ndarray) -> np.ndarray:
        """Return what an ensemble of k members, predictions (k, m, c), says: (m, c) float32."""


class Classification(Task):
    """Outputs are logits, predictions log-probabilities, targets classes, the loss cross-entropy in nats."""

    dtype = np.float16

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        wanted = targets.expand(outputs.shape[:-1])
        return F.cross_entropy(outputs.flatten(0, 1), wanted.flatten(), reduction="none").view_as(wanted)

    def right(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs.argmax(-1) == targets

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return log-probabilities, clipped at `LOWEST`, which float16 still holds."""
        finite = outputs.isfinite().all(-1, keepdim=True)
        return outputs.masked_fill(~finite, torch.nan).log_softmax(-1).clamp(min=LOWEST).half()

    def wrong(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return classification.wrong(predictions, targets)

    def choices(self, predictions: np.ndarray) -> np.ndarray:
        """Return the most probable classes."""
        return predictions.argmax(axis=-1)

    def scores(self, predictions: np.ndarray, targets: np.ndarray) -> Scores:
        return {
            "accuracy": classification.accuracy(predictions, targets),
            "loss": classification.nll(predictions, targets),
            "brier": classification.brier(predictions, targets),
            "calibration_error": classification.expected_calibration_error(predictions, targets),
        }

    def distances(self, predictions: np.ndarray, others: np.ndarray) -> np.ndarray:
        return hellinger(predictions, others)

    def divergences(self, predictions: np.ndarray, others: np.ndarray) -> Scores:
        return {"jensen_shannon": paired_jensen_shannon(predictions, others)}

    def mixture(self, members: np.ndarray) -> np.ndarray:
        """Return the log of the members' mean probabilities (Lakshminarayanan et al. 2017)."""
        total = np.zeros(members.shape[1:], np.float32)
        for member in members:
            total += np.exp(member.astype(np.float32))
        with np.errstate(divide="ignore"):
            return np.maximum(np.log(total / len(members)), LOWEST)


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
            "spearman": regression.spearman(numbers, wanted),
            "r2": regression.r2(numbers, wanted),
            "mean_absolute_error": self.scale * regression.mean_absolute_error(numbers, wanted),
        }

    def distances(self, predictions: np.ndarray, others: np.ndarray) -> np.ndarray:
        return root_mean_square(predictions[..., 0], others[..., 0])

    def divergences(self, predictions: np.ndarray, others: np.ndarray) -> Scores:
        return {"mean_absolute_difference": self.scale * np.abs(predictions - others).mean(axis=(1, 2))}

    def mixture(self, members: np.ndarray) -> np.ndarray:
        return members.mean(axis=0, dtype=np.float32)


def task_of(tolerance: float, scale: float = 1.0) -> Task:
    """Return the task of data with a ``tolerance``, 0 where they have classes, and a ``scale``."""
    return Regression(tolerance, scale) if tolerance else Classification()
