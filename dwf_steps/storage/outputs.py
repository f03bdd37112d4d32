"""What networks say about the test set: all that evaluation needs to know of their function."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dwf_steps.errors import InputError
from dwf_steps.storage.arrays import load_record, save_record

LOWEST = -60_000.0  # log-probabilities are clipped there, where float16 still holds them


@dataclass(frozen=True)
class Outputs:
    """Log-probabilities of n networks for c classes.

    Attributes
    ----------
    names
        (n,), the networks.
    log_probabilities
        (n, m, c) float16, of the m test items; NaN for a network whose outputs are not finite.
    targets
        (m,), the test items' classes.
    shifted
        (n, m', c) float16, of inputs from outside the data's distribution; m' is 0 where there are none.
    """

    names: np.ndarray
    log_probabilities: np.ndarray
    targets: np.ndarray
    shifted: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def save(self, path: Path) -> None:
        """Write as npz, atomically."""
        save_record(path, self)

    @classmethod
    def load(cls, paths: Sequence[Path]) -> "Outputs":
        """Read the outputs of all shards of a collection of networks."""
        parts = [load_record(path, cls) for path in paths]
        if len(parts) == 1:
            return parts[0]
        joined = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("names", "log_probabilities", "shifted")
        )
        names, log_probabilities, shifted = joined
        return cls(names, log_probabilities, parts[0].targets, shifted)

    def of(self, names: Sequence[str]) -> "Outputs":
        """Return the outputs of some networks, in this order.

        Raises
        ------
        InputError
            If one of them has none.
        """
        position = {name: i for i, name in enumerate(self.names.tolist())}
        missing = [name for name in names if name not in position]
        if missing:
            raise InputError(f"no outputs of {', '.join(missing[:5])}; delete the outputs and run again")
        rows = [position[name] for name in names]
        if rows == list(range(len(self))):
            return self
        return Outputs(self.names[rows], self.log_probabilities[rows], self.targets, self.shifted[rows])
