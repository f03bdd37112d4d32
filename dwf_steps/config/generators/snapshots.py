"""Snapshots of a training."""

from __future__ import annotations

from typing import ClassVar, Literal

from dwf_steps.config.generators.base import NotNegative, Positive
from dwf_steps.config.generators.retrained import RetrainingConfig
from dwf_steps.config.section import planning
from dwf_steps.config.zoo import TrainingConfig


class SnapshotsConfig(RetrainingConfig):
    """Control: successive snapshots of a single network's training with the zoo's settings.

    They are not canonicalized.
    """

    implementation: ClassVar[str] = "dwf_steps.generators.snapshots:Snapshots"
    in_one_job: ClassVar[bool] = True

    kind: Literal["snapshots"]
    """Selects this control."""
    skip_epochs: NotNegative = 1.0
    """Epochs before the first interval between snapshots begins."""
    every_epochs: Positive = 0.5
    """Epochs between consecutive snapshots."""

    @planning
    def epochs_trained(self, training: TrainingConfig) -> float:
        return self.skip_epochs + self.every_epochs * self.sampling.samples
