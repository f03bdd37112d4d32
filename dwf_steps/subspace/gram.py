"""The Gram matrix of the centred rows, computed in one pass over column blocks."""

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
BLOCK_BYTES = 2**22  # of rows of a matrix of pairs that are processed at a time


@dataclass(frozen=True)
class GramMatrix:
    """The Gram matrix of the centred rows over a range of columns.

    Attributes
    ----------
    products
        Xc Xc' over the columns from ``start`` to before ``stop``, float64 (n + h, n + h), all rows centred by
        the mean of the training rows.
    n_training
        The number of training rows, n, which are the first.
    start, stop
        The range of columns.
    rounding
        Relative precision of the products that were added.
    """

    products: np.ndarray
    n_training: int
    start: int
    stop: int
    rounding: float

    def save(self, path: Path) -> None:
        """Write the matrix to an npz file, atomically."""
        save_record(path, self)

    @classmethod
    def load(cls, path: Path) -> "GramMatrix":
        """Read a matrix that `save` wrote."""
        return load_record(path, cls)


def accumulate(matrix: WeightMatrix, part: int = 0, parts: int = 1, threads: int = 1) -> GramMatrix:
    """Compute the Gram matrix over a range of columns in one pass.

    A column block holds all rows, so it can be centred by its own column means before it is multiplied.
    Held-out rows are included, but do not contribute to the mean. Blocks are added in float64 and in order,
    so the result does not depend on ``threads``.

    Parameters
    ----------
    matrix
        Weights of n training and h held-out networks.
    part, parts
        The columns are divided into ``parts`` ranges, of which this is number ``part``, from 0.
    threads
        The number of blocks to process, and to hold in memory, at the same time.

    Returns
    -------
    The Gram matrix (n + h, n + h) over these columns.

    Raises
    ------
    InputError
        If a block is damaged or holds a value that is not finite.
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
    """Return the Gram matrix of a column block whose rows are centred up to rounding.

    Parameters
    ----------
    block
        Columns of the weight matrix, (n, columns), training rows first.
    n_training
        The number of training rows.
    dtype
        The precision of the products.

    Returns
    -------
    The Gram matrix, float64 (n, n). It is exactly symmetric, since NumPy computes one triangle of ``a @ a.T``
    and mirrors it.
    """
    gram = np.zeros((len(block), len(block)))
    for _, centred, _ in centred_strips(block, n_training, dtype):
        gram += centred @ centred.T
    return gram


def _centre(gram: np.ndarray, n_training: int) -> np.ndarray:
    """Centre a Gram matrix by the training mean again, in place, to remove rounding errors of the means.

    It becomes (I - 1w') G (I - w1') with w = 1/n on the training rows.
    """
    mean = gram[:, :n_training].mean(axis=1)
    gram -= mean[:, None]
    gram -= mean - mean[:n_training].mean()
    return gram


def _working_precision(matrix: WeightMatrix) -> np.dtype:
    """Return the precision of products: float64, but float32 for float16 matrices.

    The rounding errors of float16 itself are thousands of times larger than those of float32.
    """
    return np.dtype(np.float32 if matrix.array.dtype == np.float16 else np.float64)


def read_gram(paths: list[Path]) -> GramMatrix:
    """Read the parts of a Gram matrix and add them.

    Parameters
    ----------
    paths
        Files of `GramMatrix.save`, in the order of their columns.

    Returns
    -------
    The Gram matrix over all of their columns.

    Raises
    ------
    InputError
        If a file is damaged, or if the parts do not join because the columns were divided differently.
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
    """Return Euclidean distances between rows that a Gram matrix describes.

    Parameters
    ----------
    gram
        Gram matrix (n, n).
    rows, others
        The k and l rows to compare.

    Returns
    -------
    Distances, (k, l).
    """
    norms, products = np.diag(gram), gram[rows][:, others]
    distances = norms[rows, None] + norms[others]
    for some in row_blocks(*products.shape):
        distances[some] -= 2 * products[some]
    return np.sqrt(np.maximum(distances, 0.0, out=distances), out=distances)


def row_blocks(n: int, width: int) -> Iterator[slice]:
    """Yield ranges of rows of a large matrix that take little memory each.

    Parameters
    ----------
    n
        The number of rows.
    width
        float64 values per row.

    Yields
    ------
    Consecutive ranges of at most `BLOCK_BYTES`, and of at least one row; the last one may end after row n.
    """
    step = max(1, BLOCK_BYTES // (8 * max(1, width)))
    for start in range(0, n, step):
        yield slice(start, start + step)
