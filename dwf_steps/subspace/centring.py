"""Centring of column blocks by their training mean, in strips that fit into the cache."""

from collections.abc import Iterator

import numpy as np

from dwf_steps.storage.precision import convert

STRIP_BYTES = 2**21
MINIMAL_STRIP = 64  # columns; narrower matrix products leave cores idle


def centred_strips(
    block: np.ndarray, n_training: int, dtype: np.dtype
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Centre the columns of a block by the mean of the training rows, strip by strip.

    Parameters
    ----------
    block
        Columns of the weight matrix, (n, width), training rows first.
    n_training
        The number of training rows.
    dtype
        The precision to centre in.

    Yields
    ------
    columns
        The columns of the block that the strip consists of.
    centred
        Their values less the shift, (n, strip); the next strip overwrites them.
    shift
        The mean of the training rows up to rounding, (strip,).
    """
    n, width = block.shape
    strip = max(MINIMAL_STRIP, STRIP_BYTES // (dtype.itemsize * n))
    buffer = np.empty(n * strip, dtype)
    for start in range(0, width, strip):
        values = block[:, start : start + strip]
        centred = convert(values, out=buffer[: values.size].reshape(values.shape))
        shift = centred[:n_training].mean(axis=0)
        centred -= shift
        yield slice(start, start + values.shape[1]), centred, shift
