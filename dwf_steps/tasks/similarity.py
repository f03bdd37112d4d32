"""Differences between the predictions of two sets of networks, for all pairs."""

from collections.abc import Iterator

import numpy as np
import torch

BLOCK_BYTES = 2**27  # of temporary arrays
ROUNDING = 1e-6  # of squared distances per item; those of equal networks are smaller in float32


def disagreement(classes: np.ndarray, others: np.ndarray, n_classes: int) -> np.ndarray:
    """Compute the share of items for which two networks predict different classes.

    Parameters
    ----------
    classes
        Predicted classes, (a, m).
    others
        Predicted classes, (b, m).
    n_classes
        Number of classes.

    Returns
    -------
    (a, b), in [0, 1].
    """
    agreed = np.zeros((len(classes), len(others)))
    for items in _item_blocks(classes.shape[1], n_classes * (len(classes) + len(others))):
        agreed += _one_hot(classes[:, items], n_classes) @ _one_hot(others[:, items], n_classes).T
    return 1 - agreed / classes.shape[1]


def hellinger(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Compute the root mean square over items of the Hellinger distance of predictions.

    It is sqrt(mean over items of 1 - sum_c sqrt(p_c q_c)), a metric. It equals the Euclidean distance between
    the vectors sqrt(p / 2m), and is computed as such, so that equal networks have distance 0.

    Parameters
    ----------
    log_p
        Log-probabilities, (a, m, c).
    log_q
        Log-probabilities, (b, m, c).

    Returns
    -------
    (a, b), in [0, 1].
    """
    m, c = log_p.shape[1:]
    products = np.zeros((len(log_p), len(log_q)))
    squares_p, squares_q = np.zeros(len(log_p)), np.zeros(len(log_q))
    for items in _item_blocks(m, c * (len(log_p) + len(log_q))):
        p, q = (np.exp(log[:, items].astype(np.float32) / 2).reshape(len(log), -1) for log in (log_p, log_q))
        products += p @ q.T
        squares_p += np.square(p).sum(axis=1)
        squares_q += np.square(q).sum(axis=1)
    squares = _squared_distances(products, squares_p, squares_q, ROUNDING * m)
    squares /= 2 * m
    return np.sqrt(squares, out=squares)


def root_mean_square(predictions: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Compute the root mean square over items of the difference of two numbers.

    Parameters
    ----------
    predictions
        (a, m).
    others
        (b, m).

    Returns
    -------
    (a, b), in the unit of the numbers.
    """
    p, q = (numbers.astype(np.float64) for numbers in (predictions, others))
    squares_p, squares_q = (np.square(numbers).sum(axis=1) for numbers in (p, q))
    squares = _squared_distances(p @ q.T, squares_p, squares_q, ROUNDING**2 * p.shape[1])
    squares /= p.shape[1]
    return np.sqrt(squares, out=squares)


def _squared_distances(
    products: np.ndarray, squares_p: np.ndarray, squares_q: np.ndarray, rounding: float
) -> np.ndarray:
    """Return squared distances from inner products (a, b), which are overwritten, and squared norms.

    Distances below ``rounding`` become 0.
    """
    distances = squares_p[:, None] + squares_q[None, :]
    distances -= np.multiply(products, 2, out=products)
    distances[distances < rounding] = 0
    return distances


def jensen_shannon(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Compute the mean over items of the Jensen-Shannon divergence (Lin 1991).

    JS(p, q) = H((p + q) / 2) - (H(p) + H(q)) / 2 with the entropy H.

    Parameters
    ----------
    log_p
        Log-probabilities, (a, m, c).
    log_q
        Log-probabilities, (b, m, c).

    Returns
    -------
    (a, b), in nats, in [0, log 2].
    """
    m, c = log_p.shape[1:]
    p, q = (torch.from_numpy(log).float().exp().flatten(1) for log in (log_p, log_q))
    mixed = torch.zeros(len(p), len(q), dtype=torch.float64)
    rows = max(1, BLOCK_BYTES // (4 * m * c))
    for first in range(len(q)):
        for start in range(0, len(p), rows):
            half = (p[start : start + rows] + q[first]).div_(2)
            mixed[start : start + rows, first] = torch.special.entr(half).sum(1, dtype=torch.float64)
    own = [torch.special.entr(x).sum(1, dtype=torch.float64) for x in (p, q)]
    return ((mixed - (own[0][:, None] + own[1][None, :]) / 2) / m).clamp_(min=0).numpy()


def paired_jensen_shannon(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Compute `jensen_shannon` for pairs of networks in the same row.

    Parameters
    ----------
    log_p
        Log-probabilities, (k, m, c).
    log_q
        Log-probabilities, (k, m, c).

    Returns
    -------
    (k,), in nats.
    """
    pairs = zip(log_p, log_q, strict=True)
    return np.array([jensen_shannon(one[None], other[None])[0, 0] for one, other in pairs])


def _one_hot(classes: np.ndarray, n_classes: int) -> np.ndarray:
    return np.eye(n_classes, dtype=np.float32)[classes].reshape(len(classes), -1)


def _item_blocks(m: int, width: int) -> Iterator[slice]:
    """Yield ranges of items for which ``width`` float32 values per item fit into `BLOCK_BYTES`."""
    step = max(1, BLOCK_BYTES // (4 * width))
    for start in range(0, m, step):
        yield slice(start, start + step)
