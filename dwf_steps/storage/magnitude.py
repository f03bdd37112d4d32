"""Detection of weights that are finite, but too large to compute with."""

import numpy as np

# The sum of the squares of 10^8 such weights is still below float32's largest number, 3.4e38.
LARGEST_WEIGHT = 1e15


def excess(array: np.ndarray) -> str | None:
    """Describe the largest weight of an array if it is too large to compute distances with.

    Parameters
    ----------
    array
        Weights, of any shape. Arrays of integers are never too large.

    Returns
    -------
    The part of a sentence that follows the array's name; None if all weights are at most `LARGEST_WEIGHT`.
    """
    if array.dtype.kind != "f":
        return None
    largest = float(np.abs(array).max(initial=0))
    if largest <= LARGEST_WEIGHT:
        return None
    return (
        f"has a weight of size {largest:.1e}, expected {LARGEST_WEIGHT:.0e} at most, beyond which distances "
        "cannot be computed"
    )
