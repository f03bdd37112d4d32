"""Conversion between float16 and wider types, and the error of reduced precision."""

from dataclasses import dataclass

import numpy as np


def convert(values: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Copy values into an array of another precision.

    PyTorch converts between float16 and float32 fifteen times as fast as NumPy. Values too large for float16
    become infinite.

    Parameters
    ----------
    values
        The values to copy, of any shape.
    out
        Receives them; of the same shape.

    Returns
    -------
    ``out``.
    """
    if np.float16 in (values.dtype, out.dtype):
        # Imported here: matrices of other types do not need PyTorch.
        import torch

        torch.from_numpy(out).copy_(torch.from_numpy(values))
    else:
        out[...] = values
    return out


@dataclass
class RelativeError:
    """The relative error of approximate values, accumulated block by block.

    Attributes
    ----------
    squared_error
        Sum of (value - exact)^2.
    squared_norm
        Sum of (exact - mean)^2 over the same entries.
    """

    squared_error: float = 0.0
    squared_norm: float = 0.0

    def add(self, difference: np.ndarray, centred: np.ndarray) -> None:
        """Add the differences, value - exact, and the deviations, exact - mean, of one block."""
        self.squared_error += float(np.vdot(difference, difference))
        self.squared_norm += float(np.vdot(centred, centred))

    @property
    def relative(self) -> float:
        """Root mean square of the error, relative to that of the deviation from the mean."""
        return (self.squared_error / self.squared_norm) ** 0.5 if self.squared_norm else 0.0
