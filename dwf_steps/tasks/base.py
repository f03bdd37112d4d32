"""Base class of tasks."""

from abc import ABC, abstractmethod

import numpy as np
from torch import Tensor

Scores = dict[str, np.ndarray]


class Task(ABC):
    """What networks are trained to do, and how their predictions are scored.

    Networks compute outputs (n, b, c); their stored ``predictions`` are (n, m, c) for m items with
    ``targets`` (m,).
    """

    dtype: type[np.floating]
    """Data type of stored predictions."""

    @abstractmethod
    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each output, (n, b), for ``targets`` (n, b) or (b,)."""

    @abstractmethod
    def answers(self, outputs: Tensor) -> Tensor:
        """Return outputs on a scale on which they can be averaged over networks, (n, b, c)."""

    @abstractmethod
    def distillation_losses(self, outputs: Tensor, answers: Tensor) -> Tensor:
        """Return the loss of each output against an answer to be learned, (n, b).

        Parameters
        ----------
        outputs
            (n, b, c).
        answers
            (n, b, c) or (b, c), as `answers` returns them.
        """

    @abstractmethod
    def right(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return which outputs are correct, (n, b) bool, for ``targets`` (n, b) or (b,)."""

    @abstractmethod
    def predictions(self, outputs: Tensor) -> Tensor:
        """Return the predictions to store; NaN where outputs are not finite."""

    @abstractmethod
    def wrong(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return which items each network predicts wrongly, (n, m) bool; NaN counts as wrong."""

    @abstractmethod
    def choices(self, predictions: np.ndarray) -> np.ndarray:
        """Return predictions as one of a few categories, (n, m), numbered from 0."""

    @abstractmethod
    def scores(self, predictions: np.ndarray, targets: np.ndarray) -> Scores:
        """Return the networks' scores, each (n,): ``accuracy``, ``loss``, and others of the task."""

    @abstractmethod
    def distances(self, predictions: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return a metric between the predictions of all pairs of networks, (a, b)."""

    @abstractmethod
    def divergences(self, predictions: np.ndarray, others: np.ndarray) -> Scores:
        """Return the difference between each network and the one in the same row of ``others``, (n,)."""

    @abstractmethod
    def mixture(self, members: np.ndarray) -> np.ndarray:
        """Return the prediction of an ensemble, (m, c) float32, from those of its k members, (k, m, c)."""
