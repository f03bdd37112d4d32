"""How good classifiers are, from their log-probabilities: n networks at once, block by block.

Log-probabilities are (n, m, c) of m items and c classes, of any precision; they are computed with in float32.
"""

from collections.abc import Iterator

import numpy as np

BLOCK_BYTES = 2**26  # of log-probabilities in float32 at a time


def accuracy(log_probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the share of items whose most probable class is the target, (n,)."""
    return 1 - wrong(log_probabilities, targets).mean(axis=1)


def wrong(log_probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return which items each network misclassifies, (n, m) bool."""
    return log_probabilities.argmax(axis=-1) != targets


def nll(log_probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the mean negative log-likelihood -log p(target), the cross-entropy, in nats, (n,)."""
    chosen = log_probabilities[:, np.arange(len(targets)), targets]
    return -chosen.mean(axis=1, dtype=np.float64)


def brier(log_probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the mean over items of sum_c (p_c - [c = target])^2, in [0, 2], (n,) (Brier 1950)."""
    truth = np.eye(log_probabilities.shape[-1], dtype=np.float32)[targets]
    scores = [
        np.square(np.exp(block) - truth).sum(axis=-1).mean(axis=-1, dtype=np.float64)
        for block in blocks(log_probabilities)
    ]
    return np.concatenate(scores)


def expected_calibration_error(
    log_probabilities: np.ndarray, targets: np.ndarray, bins: int = 15
) -> np.ndarray:
    """Return sum_b (n_b / m) |accuracy_b - confidence_b| over bins of equal width of the confidence, which is
    the largest probability, (n,) (Guo et al. 2017, arXiv 1706.04599, equation 3)."""
    errors = []
    for block in blocks(log_probabilities):
        confidence = np.exp(block.max(axis=-1)).astype(np.float64)
        right = block.argmax(axis=-1) == targets
        n, m = confidence.shape
        place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
        place += bins * np.arange(n)[:, None]
        gaps = np.bincount(place.ravel(), (right - confidence).ravel(), minlength=n * bins)
        errors.append(np.abs(gaps).reshape(n, bins).sum(axis=1) / m)
    return np.concatenate(errors)


def entropy(log_probabilities: np.ndarray) -> np.ndarray:
    """Return the entropy -sum_c p_c log p_c of every prediction in nats, (n, m) float32."""
    return np.concatenate([-(np.exp(block) * block).sum(axis=-1) for block in blocks(log_probabilities)])


def blocks(log_probabilities: np.ndarray) -> Iterator[np.ndarray]:
    """Yield groups of networks in float32."""
    n, m, c = log_probabilities.shape
    together = max(1, BLOCK_BYTES // max(1, 4 * m * c))
    for start in range(0, n, together):
        yield log_probabilities[start : start + together].astype(np.float32)
