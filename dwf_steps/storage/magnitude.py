"""Weights that are finite, but so large that nothing can be computed with them."""

import numpy as np

# Sums of 10^8 such weights' squares are still less than float32's largest number, 3.4e38.
LARGEST_WEIGHT = 1e15


def excess(array: np.ndarray) -> str | None:
    """Say how large the largest of some weights is, any shape, if that is beyond all use; None if not."""
    if array.dtype.kind != "f":
        return None
    largest = float(np.abs(array).max(initial=0))
    if largest <= LARGEST_WEIGHT:
        return None
    return (
        f"has a weight of size {largest:.1e}, expected {LARGEST_WEIGHT:.0e} at most, beyond which distances "
        "cannot be computed"
    )
