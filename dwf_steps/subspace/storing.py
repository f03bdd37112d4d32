"""Writing blocks of a matrix in its precision, and measuring the rounding error."""

import numpy as np

from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.matrix import WeightMatrix
from dwf_steps.storage.precision import RelativeError, convert
from dwf_steps.subspace.centring import centred_strips


def store(matrix: WeightMatrix, columns: slice, block: np.ndarray, error: RelativeError) -> None:
    """Write a column block of weights in the matrix's precision.

    Parameters
    ----------
    matrix
        The matrix to write to.
    columns
        The range of columns to write.
    block
        Weights of all rows, float32 (n, columns).
    error
        Accumulates the rounding error of the training rows; unchanged if the matrix has the block's
        precision.

    Raises
    ------
    InputError
        If a value is too large for the matrix's precision.
    """
    if block.dtype == matrix.array.dtype:
        matrix.array[:, columns] = block
        return
    stored = convert(block, np.empty(block.shape, matrix.array.dtype))
    if not np.isfinite(stored).all():
        row, column = np.argwhere(~np.isfinite(stored))[0]
        raise InputError(
            f"{matrix.rows[row].name}: weight {columns.start + column} is {block[row, column]}, too large "
            f"for {stored.dtype}; set the zoo's matrix.dtype to float32"
        )
    n = matrix.n_training
    for strip, centred, _ in centred_strips(block[:n], n, block.dtype):
        kept = convert(stored[:n, strip], np.empty(centred.shape, block.dtype))
        error.add(kept - block[:n, strip], centred)
    matrix.array[:, columns] = stored
