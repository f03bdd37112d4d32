"""Snapshots of a training."""

from __future__ import annotations

from typing import ClassVar, Literal

from dwf_steps.config.generators.base import NotNegative, Positive
from dwf_steps.config.generators.retrained import RetrainingConfig
from dwf_steps.config.section import planning
from dwf_steps.config.zoo import TrainingConfig


class SnapshotsConfig(RetrainingConfig):
    """Control: snapshots of a single network's training with the zoo's settings, one after the other; not
    canonicalized."""

    implementation: ClassVar[str] = "dwf_steps.generators.snapshots:Snapshots"
    in_one_job: ClassVar[bool] = True

    kind: Literal["snapshots"]
    """Marks the generator as this control."""
    skip_epochs: NotNegative = 1.0
    """Epochs before the first snapshot."""
    every_epochs: Positive = 0.5
    """Epochs between two snapshots."""

    @planning
    def epochs_trained(self, training: TrainingConfig) -> float:
        return self.skip_epochs + self.every_epochs * self.sampling.samples
