"""Predictions of networks on the test set: all that evaluation needs to know about their functions."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

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
        The networks' names, (n,).
    predictions
        Predictions for the m test items, (n, m, c): log-probabilities of c classes, float16; or numbers,
        float32, with c = 1. NaN for a network whose outputs are not finite.
    targets
        The test items' classes or numbers, (m,).
    shifted
        Predictions for m' inputs from outside the data's distribution, (n, m', c); m' = 0 if there are none.
    task
        The task that the networks were trained on.
    tolerance
        The largest difference from the target at which a predicted number counts as correct; 0 for classes.
    scale
        The size of the scaled targets' unit interval in the units of the original targets.
    classes
        The classes' names in order, (c,); (0,) if they have none.
    """

    names: np.ndarray
    predictions: np.ndarray
    targets: np.ndarray
    shifted: np.ndarray
    task: TaskName = "classification"
    tolerance: float = 0.0
    scale: float = 1.0
    classes: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=str))

    def __len__(self) -> int:
        return len(self.names)

    def save(self, path: Path) -> None:
        """Write the predictions to an npz file, atomically."""
        save_record(path, self)

    @classmethod
    def load(cls, paths: Sequence[Path]) -> "Outputs":
        """Read and concatenate the predictions of all shards.

        Raises
        ------
        InputError
            If a file is damaged.
        """
        parts = [load_record(path, cls) for path in paths]
        if len(parts) == 1:
            return parts[0]
        joined: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("names", "predictions", "shifted")
        }
        return replace(parts[0], **joined)

    def of(self, names: Sequence[str]) -> "Outputs":
        """Return the predictions of some networks, in the given order.

        Raises
        ------
        InputError
            If there are no predictions of one of them.
        """
        position = {name: i for i, name in enumerate(self.names.tolist())}
        missing = [name for name in names if name not in position]
        if missing:
            raise InputError(
                f"no predictions of {', '.join(missing[:5])}; found those of {', '.join(self.names[:5])} and "
                "others. `snakemake all --forcerun score score_zoo` recomputes them"
            )
        rows = [position[name] for name in names]
        if rows == list(range(len(self))):
            return self
        return replace(
            self, names=self.names[rows], predictions=self.predictions[rows], shifted=self.shifted[rows]
        )
