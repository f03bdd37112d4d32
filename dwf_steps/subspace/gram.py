"""The Gram matrix of the centred rows, in one pass over column blocks."""

import logging
import time

import numpy as np

from dwf_steps.storage.matrix import WeightMatrix

logger = logging.getLogger(__name__)


def centred_gram(matrix: WeightMatrix) -> np.ndarray:
    """Return Xc Xc' (n, n) in float64, all rows centred by the mean of the training rows.

    A column block holds all n rows, so its column means are exact and one pass suffices. Held-out rows
    ride along: their entries are there, but they do not move the mean.
    """
    n = matrix.array.shape[0]
    gram = np.zeros((n, n))
    blocks = list(matrix.column_blocks())
    started = time.monotonic()
    for done, columns in enumerate(blocks, start=1):
        block = matrix.read(columns).astype(np.float64)
        block -= block[: matrix.n_training].mean(axis=0)
        gram += block @ block.T
        seconds = (time.monotonic() - started) / done
        logger.info(
            "block %d/%d, %.2f s a block, %.0f s to go",
            done,
            len(blocks),
            seconds,
            seconds * (len(blocks) - done),
        )
    return gram


def squared_distances(gram: np.ndarray) -> np.ndarray:
    """Return the squared Euclidean distances (n, n) between the rows that a Gram matrix describes."""
    norms = np.diag(gram)
    return np.maximum(norms[:, None] + norms[None, :] - 2 * gram, 0.0)
