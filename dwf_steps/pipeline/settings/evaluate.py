"""Settings of evaluation, of generated networks and of the zoo alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.evaluation import MeasurementConfig
from dwf_steps.pipeline.settings.base import StepSettings, Work

if TYPE_CHECKING:
    from dwf_steps.pipeline.experiment import Experiment, Names
    from dwf_steps.pipeline.sizes import Sizes


class Evaluate(StepSettings):
    """What is measured."""

    threads = "matrix"

    architecture: ArchitectureConfig
    evaluation: MeasurementConfig

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        return cls(architecture=experiment.architecture(names), evaluation=experiment.config.evaluation)

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """A block of columns; predictions, in both precisions; realigned and midpoint networks."""
        predictions = 12 * (sizes.n + sizes.g) * sizes.m * sizes.classes
        pairs = 24 * sizes.n**2 + 64 * sizes.g * (sizes.n + sizes.g)
        held = sizes.block + predictions + 1600 * sizes.d + sizes.BLOCK + sizes.data + sizes.SCORING + pairs
        each = sizes.m * sizes.classes + sizes.d
        seconds = 2 * sizes.g * (sizes.n + sizes.g) * each / sizes.FLOPS + sizes.realigning
        return Work(held, seconds + (sizes.n * sizes.item + 4 * sizes.g) * sizes.d / sizes.READ)


class EvaluateZoo(Evaluate):
    """The same for the zoo's networks among themselves."""

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """The Gram matrix, two of its parts when they are read or the distances that cells are found by, and
        values of some networks with all others."""
        predictions = 12 * sizes.n * sizes.m * sizes.classes
        seconds = 2 * sizes.n**2 * sizes.m * sizes.classes / sizes.FLOPS + sizes.realigning
        return Work(20 * sizes.n**2 + predictions + 1600 * sizes.d + 8 * sizes.BLOCK, seconds)
