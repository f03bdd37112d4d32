"""Classification: the task, and scores of the log-probabilities of many networks.

All functions convert log-probabilities to float32.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dwf_steps.storage.precision import convert
from dwf_steps.tasks.base import Scores, Task
from dwf_steps.tasks.similarity import hellinger, paired_jensen_shannon

LOWEST_LOG_PROBABILITY = -60_000.0  # lower ones are clipped, because float16 cannot represent them
IMBALANCED = 2.0  # smallest ratio of class frequencies at which accuracies by class are reported
BLOCK_BYTES = 2**26  # of float32 log-probabilities that are in memory at a time


def wrong(log_probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Find the items that each network misclassifies.

    The first of several most probable classes is the prediction. NaN counts as a mistake.

    Parameters
    ----------
    log_probabilities
        (n, m, c), of n networks on m items.
    targets
        Classes, (m,), from 0.

    Returns
    -------
    (n, m) bool.
    """
    parts = [
        (block.argmax(axis=2) != targets) | np.isnan(block).any(axis=2)
        for block in _blocks(log_probabilities)
    ]
    return np.concatenate(parts)


def accuracy(log_probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Compute each network's accuracy.

    Parameters
    ----------
    log_probabilities
        (n, m, c).
    targets
        Classes, (m,).

    Returns
    -------
    The share of items that are classified correctly, (n,), in [0, 1].
    """
    return (~wrong(log_probabilities, targets)).mean(axis=1)


def class_accuracies(mistakes: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Compute each network's accuracy on every class.

    Their mean is the balanced accuracy (Brodersen et al. 2010).

    Parameters
    ----------
    mistakes
        Which items each network misclassifies, (n, m) bool, as `wrong` returns them.
    targets
        Classes, (m,).

    Returns
    -------
    (n, number of classes in ``targets``), in the order of the classes, in [0, 1].
    """
    return np.stack([(~mistakes[:, targets == c]).mean(axis=1) for c in np.unique(targets)], axis=1)


def nll(log_probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Compute each network's mean negative log-likelihood, -log p[target].

    Parameters
    ----------
    log_probabilities
        (n, m, c).
    targets
        Classes, (m,).

    Returns
    -------
    (n,) float64, in nats.
    """
    return -log_probabilities[:, np.arange(len(targets)), targets].mean(axis=1, dtype=np.float64)


def brier(log_probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Compute each network's Brier score, the mean over items of sum_c (p_c - [c = target])^2 (Brier 1950).

    Parameters
    ----------
    log_probabilities
        (n, m, c).
    targets
        Classes, (m,).

    Returns
    -------
    (n,) float64, in [0, 2]; not halved for two classes.
    """
    items, scores = np.arange(len(targets)), []
    for block in _blocks(log_probabilities):
        errors = np.exp(block, out=block)
        errors[:, items, targets] -= 1
        scores.append(np.square(errors, out=errors).sum(axis=(1, 2), dtype=np.float64) / len(targets))
    return np.concatenate(scores)


def expected_calibration_error(
    log_probabilities: np.ndarray, targets: np.ndarray, bins: int = 15
) -> np.ndarray:
    """Compute each network's expected calibration error, sum_b |B_b| / m |accuracy(B_b) - confidence(B_b)|.

    The confidence is the largest probability; bin b holds items with a confidence in ((b - 1) / bins, b /
    bins] (Guo et al. 2017, arXiv 1706.04599, equation 3).

    Parameters
    ----------
    log_probabilities
        (n, m, c).
    targets
        Classes, (m,).
    bins
        Number of bins.

    Returns
    -------
    (n,) float64, in [0, 1].
    """
    m, errors = len(targets), []
    for block in _blocks(log_probabilities):
        confidence = np.exp(block.max(axis=2))
        gaps = (block.argmax(axis=2) == targets) - confidence.astype(np.float64)
        places = np.ceil(np.nan_to_num(confidence) * bins).astype(np.intp) - 1
        places = places.clip(0, bins - 1) + bins * np.arange(len(block))[:, None]
        sums = np.bincount(places.ravel(), gaps.ravel(), bins * len(block))
        errors.append(np.abs(sums).reshape(-1, bins).sum(axis=1) / m)
    return np.concatenate(errors)


def entropy(log_probabilities: np.ndarray) -> np.ndarray:
    """Compute the entropy -sum_c p_c log p_c of each prediction.

    Parameters
    ----------
    log_probabilities
        (n, m, c).

    Returns
    -------
    (n, m) float32, in nats.
    """
    parts = []
    for block in _blocks(log_probabilities):
        impossible = np.isneginf(block)
        block[impossible] = 0
        products = np.exp(block) * block
        products[impossible] = 0
        parts.append(-products.sum(axis=2))
    return np.concatenate(parts)


def _blocks(log_probabilities: np.ndarray) -> Iterator[np.ndarray]:
    """Yield float32 copies (some, m, c) of as many networks as fit into `BLOCK_BYTES`, at least one."""
    n, m, c = log_probabilities.shape
    chunk_size = max(1, BLOCK_BYTES // (4 * m * c))
    for start in range(0, n, chunk_size):
        block = log_probabilities[start : start + chunk_size]
        yield convert(block, np.empty(block.shape, np.float32))


class Classification(Task):
    """Outputs are logits, predictions are log-probabilities, targets are classes.

    The loss is the cross-entropy in nats.
    """

    dtype = np.float16

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        wanted = targets.expand(outputs.shape[:-1])
        return F.cross_entropy(outputs.flatten(0, 1), wanted.flatten(), reduction="none").view_as(wanted)

    def answers(self, outputs: Tensor) -> Tensor:
        """Return probabilities."""
        return outputs.softmax(-1)

    def distillation_losses(self, outputs: Tensor, answers: Tensor) -> Tensor:
        """Return the cross-entropy -sum_c q_c log p_c with the probabilities q to be learned, in nats.

        Its gradient is that of KL(q || p) (Hinton et al. 2015, arXiv 1503.02531, at temperature 1).
        """
        return -(answers * outputs.log_softmax(-1)).sum(-1)

    def right(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs.argmax(-1) == targets

    def predictions(self, outputs: Tensor) -> Tensor:
        """Return log-probabilities in float16, clipped at `LOWEST_LOG_PROBABILITY`."""
        finite = outputs.isfinite().all(-1, keepdim=True)
        return (
            outputs.masked_fill(~finite, torch.nan).log_softmax(-1).clamp(min=LOWEST_LOG_PROBABILITY).half()
        )

    def wrong(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return wrong(predictions, targets)

    def choices(self, predictions: np.ndarray) -> np.ndarray:
        """Return the most probable classes."""
        return predictions.argmax(axis=-1)

    def scores(self, predictions: np.ndarray, targets: np.ndarray) -> Scores:
        """Return ``accuracy``, ``loss``, ``brier`` and ``calibration_error``.

        If the most frequent class is at least `IMBALANCED` times as frequent as the least frequent one, also
        the mean and the lowest of the accuracies by class.
        """
        of_classes = {}
        counts = np.unique(targets, return_counts=True)[1]
        if counts.max() >= IMBALANCED * counts.min():
            by_class = class_accuracies(wrong(predictions, targets), targets)
            of_classes = {
                "balanced_accuracy": by_class.mean(axis=1),
                "lowest_class_accuracy": by_class.min(axis=1),
            }
        found = {
            "accuracy": accuracy(predictions, targets),
            "loss": nll(predictions, targets),
            "brier": brier(predictions, targets),
            "calibration_error": expected_calibration_error(predictions, targets),
        }
        return found | of_classes

    def distances(self, predictions: np.ndarray, others: np.ndarray) -> np.ndarray:
        return hellinger(predictions, others)

    def divergences(self, predictions: np.ndarray, others: np.ndarray) -> Scores:
        return {"jensen_shannon": paired_jensen_shannon(predictions, others)}

    def mixture(self, members: np.ndarray) -> np.ndarray:
        """Return the logarithm of the members' mean probabilities (Lakshminarayanan et al. 2017)."""
        total = np.zeros(members.shape[1:], np.float32)
        for member in members:
            total += np.exp(member.astype(np.float32))
        with np.errstate(divide="ignore"):
            return np.maximum(np.log(total / len(members)), LOWEST_LOG_PROBABILITY)
