"""What networks are asked, to classify or to predict a number, and how good their answers are."""

from abc import ABC, abstractmethod

import numpy as np
from torch import Tensor

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
    def answers(self, outputs: Tensor) -> Tensor:
        """Return what outputs (n, b, c) say on a scale on which the mean over networks is an answer too,
        (n, b, c)."""

    @abstractmethod
    def distillation_losses(self, outputs: Tensor, answers: Tensor) -> Tensor:
        """Return how far every output is from an answer that is to be learned, (n, b).

        Parameters
        ----------
        outputs
            (n, b, c).
        answers
            (n, b, c), as `answers` returns them.
        """

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
        """Return how far apart networks are by their predictions, a metric, (a, b)."""

    @abstractmethod
    def divergences(self, predictions: np.ndarray, others: np.ndarray) -> Scores:
        """Return how far each network is from the other of its place, (n,)."""

    @abstractmethod
    def mixture(self, members: np.ndarray) -> np.ndarray:
        """Return what an ensemble of k members, predictions (k, m, c), predicts: (m, c) float32."""
