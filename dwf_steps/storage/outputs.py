"""What networks say about the test set: all that evaluation needs to know of their function."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dwf_steps.config.dataset import TaskName
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.arrays import load_record, save_record


@dataclass(frozen=True)
class Outputs:
    """Predictions of n networks.

    Attributes
    ----------
    names
        (n,), the networks.
    predictions
        Of the m test items, (n, m, c): log-probabilities of c classes, float16, or numbers, float32, with c
        = 1; NaN for a network whose outputs are not finite.
    targets
        (m,), the test items' classes or numbers.
    shifted
        (n, m', c), of inputs from outside the data's distribution; m' is 0 where there are none.
    task
        What the networks were trained to do.
    tolerance
        How far from its target a number may be to count as right; 0 where targets are classes.
    scale
        How many of the target's own units the scale of numbers from 0 to 1 spans.
    """

    names: np.ndarray
    predictions: np.ndarray
    targets: np.ndarray
    shifted: np.ndarray
    task: TaskName = "classification"
    tolerance: float = 0.0
    scale: float = 1.0

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
            for name in ("names", "predictions", "shifted")
        )
        names, predictions, shifted = joined
        first = parts[0]
        return cls(names, predictions, first.targets, shifted, first.task, first.tolerance, first.scale)

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
            raise InputError(
                f"no outputs of {', '.join(missing[:5])}; there are some of {', '.join(self.names[:5])} and "
                "others. `snakemake all --forcerun score score_zoo` computes them again"
            )
        rows = [position[name] for name in names]
        if rows == list(range(len(self))):
            return self
        return replace(
            self, names=self.names[rows], predictions=self.predictions[rows], shifted=self.shifted[rows]
        )
