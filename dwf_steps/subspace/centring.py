"""Centring the rows of a column block by their training mean, a strip that fits the cache at a time."""

from collections.abc import Iterator

import numpy as np

from dwf_steps.storage.precision import convert

STRIP_BYTES = 2**21
MINIMAL_STRIP = 64  # columns; thinner products waste the cores


def centred_strips(
    block: np.ndarray, n_training: int, dtype: np.dtype
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yield, strip by strip, which columns of ``block`` (n, width) it is, the rows less their shift in
    ``dtype``, (n, strip), and the shift, (strip,).

    The shift is the mean of the first ``n_training`` rows up to rounding in ``dtype``. A strip is
    overwritten by the next one.
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
