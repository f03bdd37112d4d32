"""The Gram matrix of the centred rows, in one pass over column blocks."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from dwf_steps.errors import InputError
from dwf_steps.storage.arrays import load_record, save_record
from dwf_steps.storage.matrix import WeightMatrix

logger = logging.getLogger(__name__)

STRIP_BYTES = 2**21
MINIMAL_STRIP = 64  # columns; thinner products waste the cores


@dataclass(frozen=True)
class GramPart:
    """What one range of columns contributes to the Gram matrix.

    Attributes
    ----------
    gram
        Xc Xc' (n, n) float64 over the columns ``start`` to ``stop``, all rows centred by the mean of the
        training rows.
    n_training
        The first rows, by whose mean all are centred.
    """

    gram: np.ndarray
    n_training: int
    start: int
    stop: int

    def save(self, path: Path) -> None:
        """Write as npz, atomically."""
        save_record(path, self)

    @classmethod
    def load(cls, path: Path) -> "GramPart":
        """Read what `save` wrote."""
        return load_record(path, cls)


def accumulate(matrix: WeightMatrix, part: int = 0, parts: int = 1, threads: int = 1) -> GramPart:
    """Return the Gram matrix over the ``part``-th of ``parts`` column ranges, in one pass over them.

    A column block holds all n rows, so its column means are exact and can be subtracted before the block is
    multiplied. Held-out rows ride along: their entries are there, but they do not move the mean. Everything
    is float64; blocks are added in order, so the result does not depend on ``threads``. In memory are
    ``threads + 1`` blocks, one of which is being read.

    Raises
    ------
    InputError
        If a block is damaged, or holds a value that is not finite.
    """
    n = matrix.array.shape[0]
    gram = np.zeros((n, n))
    blocks = list(matrix.column_blocks(part, parts))
    started = time.monotonic()
    with threadpool_limits(1), ThreadPoolExecutor(threads + 1) as pool:
        products = pool.map(lambda columns: _block_gram(matrix, columns), blocks)
        for done, product in enumerate(products, start=1):
            gram += product
            each = (time.monotonic() - started) / done
            left = each * (len(blocks) - done)
            logger.info("block %d/%d, %.2f s a block, %.0f s to go", done, len(blocks), each, left)
    start = blocks[0].start if blocks else 0
    return GramPart(gram, matrix.n_training, start, blocks[-1].stop if blocks else start)


def _block_gram(matrix: WeightMatrix, columns: slice) -> np.ndarray:
    """Return one block's Xc Xc', strip by strip: a strip in float64 stays in the cache while it is centred
    and multiplied (NumPy computes one triangle of ``a @ a.T`` and mirrors it)."""
    block = matrix.read(columns)
    n, width = block.shape
    gram = np.zeros((n, n))
    strip = max(MINIMAL_STRIP, STRIP_BYTES // (8 * n))
    for start in range(0, width, strip):
        centred = block[:, start : start + strip].astype(np.float64)
        centred -= centred[: matrix.n_training].mean(axis=0)
        gram += centred @ centred.T
    if not np.isfinite(gram).all():
        raise matrix.damaged(columns, "values that are not finite, or never written")
    return gram


def read_gram(paths: list[Path]) -> tuple[np.ndarray, int]:
    """Add the parts of a Gram matrix in the order given; return it and the number of training rows.

    Raises
    ------
    InputError
        If the parts do not join: one is of another division of the columns.
    """
    parts = [part for part in map(GramPart.load, paths) if part.stop > part.start]
    for left, right in pairwise(parts):
        if left.stop != right.start or left.n_training != right.n_training:
            raise InputError(
                f"{paths[0].parent}: the parts of the Gram matrix do not join (columns up to {left.stop}, "
                f"then from {right.start}); delete the folder and run again"
            )
    return np.sum([part.gram for part in parts], axis=0), parts[0].n_training


def squared_distances(gram: np.ndarray) -> np.ndarray:
    """Return the squared Euclidean distances (n, n) between the rows that a Gram matrix describes."""
    norms = np.diag(gram)
    return np.maximum(norms[:, None] + norms[None, :] - 2 * gram, 0.0)
