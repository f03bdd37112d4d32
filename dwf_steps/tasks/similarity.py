"""How alike the outputs of two sets of networks are, all pairs at once.

Log-probabilities are (a, m, c) and (b, m, c) of the same m items, numbers (a, m) and (b, m).
"""

from collections.abc import Iterator

import numpy as np
import torch

BLOCK_BYTES = 2**27  # of what is computed with at a time
ROUNDING = 1e-6  # of a squared distance an item: float32 products of equal networks differ by less


def disagreement(classes: np.ndarray, others: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the share of items on which two networks say different classes, (a, b).

    Parameters
    ----------
    classes, others
        (a, m) and (b, m), the predicted classes.
    """
    agreed = np.zeros((len(classes), len(others)))
    for items in _item_blocks(classes.shape[1], n_classes * (len(classes) + len(others))):
        agreed += _one_hot(classes[:, items], n_classes) @ _one_hot(others[:, items], n_classes).T
    return 1 - agreed / classes.shape[1]


def hellinger(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Return sqrt(mean over items of 1 - sum_c sqrt(p_c q_c)), (a, b): a metric between networks in [0, 1].

    The root mean square of the Hellinger distances of their predictions. It is the Euclidean distance
    between the vectors sqrt(p / 2m), and is computed as such, so that equal networks are at distance 0.
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
    """Return the root mean square over items of the difference of two numbers, (a, b)."""
    p, q = (numbers.astype(np.float64) for numbers in (predictions, others))
    squares_p, squares_q = (np.square(numbers).sum(axis=1) for numbers in (p, q))
    squares = _squared_distances(p @ q.T, squares_p, squares_q, ROUNDING**2 * p.shape[1])
    squares /= p.shape[1]
    return np.sqrt(squares, out=squares)


def _squared_distances(
    products: np.ndarray, squares_p: np.ndarray, squares_q: np.ndarray, rounding: float
) -> np.ndarray:
    """Return squared distances from inner products (a, b), which are lost, and squared norms, 0 for what may
    be rounding."""
    distances = squares_p[:, None] + squares_q[None, :]
    distances -= np.multiply(products, 2, out=products)
    distances[distances < rounding] = 0
    return distances


def jensen_shannon(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Return the mean over items of the Jensen-Shannon divergence, in nats, (a, b) (Lin 1991).

    JS(p, q) = H((p + q) / 2) - (H(p) + H(q)) / 2 with the entropy H; at most log 2.
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
    """Return `jensen_shannon` of the k-th of ``log_p`` with the k-th of ``log_q``, (k,)."""
    pairs = zip(log_p, log_q, strict=True)
    return np.array([jensen_shannon(one[None], other[None])[0, 0] for one, other in pairs])


def _one_hot(classes: np.ndarray, n_classes: int) -> np.ndarray:
    return np.eye(n_classes, dtype=np.float32)[classes].reshape(len(classes), -1)


def _item_blocks(m: int, width: int) -> Iterator[slice]:
    """Yield ranges of items over which ``width`` float32 values an item fit into the memory given."""
    step = max(1, BLOCK_BYTES // (4 * width))
    for start in range(0, m, step):
        yield slice(start, start + step)
