"""Conversion between float16 and wider types, and what precision costs."""

from dataclasses import dataclass

import numpy as np


def convert(values: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Copy ``values`` into ``out`` of the same shape and another precision; return ``out``.

    NumPy converts between float16 and float32 value by value, PyTorch fifteen times faster. Values too
    large for float16 become infinite.
    """
    if np.float16 in (values.dtype, out.dtype):
        # Imported here: matrices of other types need no PyTorch.
        import torch

        torch.from_numpy(out).copy_(torch.from_numpy(values))
    else:
        out[...] = values
    return out


@dataclass
class RelativeError:
    """How far values are from the exact ones, gathered block by block.

    Attributes
    ----------
    squared_error
        Sum of (value - exact)^2.
    squared_norm
        Sum of (exact - mean)^2, over the same entries.
    """

    squared_error: float = 0.0
    squared_norm: float = 0.0

    def add(self, difference: np.ndarray, centred: np.ndarray) -> None:
        """Add a block's value - exact and exact - mean."""
        self.squared_error += float(np.vdot(difference, difference))
        self.squared_norm += float(np.vdot(centred, centred))

    @property
    def relative(self) -> float:
        """Root mean square of the error, relative to that of the distance from the mean."""
        return (self.squared_error / self.squared_norm) ** 0.5 if self.squared_norm else 0.0
