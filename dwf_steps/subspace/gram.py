"""The Gram matrix of the centred rows, in one pass over column blocks."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.progress import progress
from dwf_steps.storage.arrays import load_record, save_record
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.remedy import rebuild
from dwf_steps.subspace.centring import centred_strips

EVERY = slice(None)
Selection = slice | np.ndarray
BLOCK_BYTES = 2**22  # of rows of a matrix of pairs, which may be large, that are computed with at a time


@dataclass(frozen=True)
class GramMatrix:
    """The Gram matrix of the centred rows over a range of columns.

    Attributes
    ----------
    products
        Xc Xc' (n, n) float64 over the columns ``start`` to ``stop``, all rows centred by the mean of the
        training rows.
    n_training
        The first rows, by whose mean all are centred.
    rounding
        Relative precision of the products that were added.
    """

    products: np.ndarray
    n_training: int
    start: int
    stop: int
    rounding: float

    def save(self, path: Path) -> None:
        """Write as npz, atomically."""
        save_record(path, self)

    @classmethod
    def load(cls, path: Path) -> "GramMatrix":
        """Read what `save` wrote."""
        return load_record(path, cls)


def accumulate(matrix: WeightMatrix, part: int = 0, parts: int = 1, threads: int = 1) -> GramMatrix:
    """Return the Gram matrix over the ``part``-th of ``parts`` column ranges, in one pass over them.

    A column block holds all n rows, so it is centred by its own column means before it is multiplied, and
    never read again. Held-out rows ride along: their entries are there, but they do not move the mean.
    Blocks are added in float64 and in order, so the result does not depend on ``threads``. In memory are
    ``threads`` blocks.

    Raises
    ------
    InputError
        If a block is damaged, or holds a value that is not finite.
    """
    n = matrix.array.shape[0]
    gram = np.zeros((n, n))
    blocks = list(matrix.column_blocks(part, parts))
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        for product in progress(pool.map(partial(_block_gram, matrix), blocks), "block", len(blocks)):
            gram += product
    start = blocks[0].start if blocks else 0
    stop = blocks[-1].stop if blocks else start
    rounding = float(np.finfo(_working_precision(matrix)).eps)
    return GramMatrix(_centre(gram, matrix.n_training), matrix.n_training, start, stop, rounding)


def _block_gram(matrix: WeightMatrix, columns: slice) -> np.ndarray:
    gram = rough_gram(matrix.read(columns), matrix.n_training, _working_precision(matrix))
    if not np.isfinite(gram).all():
        raise matrix.damaged(columns, "values that are not finite, or never written")
    return gram


def rough_gram(block: np.ndarray, n_training: int, dtype: np.dtype) -> np.ndarray:
    """Return the Gram matrix (n, n) float64 of a column block (n, columns), its rows centred up to rounding
    (NumPy computes one triangle of ``a @ a.T`` and mirrors it)."""
    gram = np.zeros((len(block), len(block)))
    for _, centred, _ in centred_strips(block, n_training, dtype):
        gram += centred @ centred.T
    return gram


def _centre(gram: np.ndarray, n_training: int) -> np.ndarray:
    """Centre the rows behind ``gram`` by their training mean once more, in place, which removes what rounding
    of the means left: (I - 1w') G (I - w1') with w = 1/n on the training rows."""
    mean = gram[:, :n_training].mean(axis=1)
    gram -= mean[:, None]
    gram -= mean - mean[:n_training].mean()
    return gram


def _working_precision(matrix: WeightMatrix) -> np.dtype:
    """Products are float64; float32 for float16, whose own rounding is thousands of times larger."""
    return np.dtype(np.float32 if matrix.array.dtype == np.float16 else np.float64)


def read_gram(paths: list[Path]) -> GramMatrix:
    """Add the parts of a Gram matrix in the order given.

    Raises
    ------
    InputError
        If the parts do not join: one is of another division of the columns.
    """
    parts = [part for part in map(GramMatrix.load, paths) if part.stop > part.start]
    for left, right in pairwise(parts):
        if left.stop != right.start or left.n_training != right.n_training:
            raise InputError(
                f"{paths[0].parent}: the parts of the Gram matrix do not join (columns up to {left.stop}, "
                f"then from {right.start}); {rebuild(*paths)}"
            )
    for part in parts[1:]:
        np.add(parts[0].products, part.products, out=parts[0].products)
    return replace(parts[0], stop=parts[-1].stop)


def distances_among(gram: np.ndarray, rows: Selection = EVERY, others: Selection = EVERY) -> np.ndarray:
    """Return Euclidean distances (k, l) between some of the rows that a Gram matrix describes and others."""
    norms, products = np.diag(gram), gram[rows][:, others]
    distances = norms[rows, None] + norms[others]
    for some in row_blocks(*products.shape):
        distances[some] -= 2 * products[some]
    return np.sqrt(np.maximum(distances, 0.0, out=distances), out=distances)


def row_blocks(n: int, width: int) -> Iterator[slice]:
    """Yield ranges of n rows, of ``width`` float64 values each, that need little memory."""
    step = max(1, BLOCK_BYTES // (8 * max(1, width)))
    for start in range(0, n, step):
        yield slice(start, start + step)
