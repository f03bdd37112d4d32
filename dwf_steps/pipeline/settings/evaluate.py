"""Settings of evaluation, of generated networks and of the zoo alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.evaluation import MeasurementConfig
from dwf_steps.config.representation import Probing
from dwf_steps.pipeline.settings.base import StepSettings, Work

if TYPE_CHECKING:
    from dwf_steps.pipeline.experiment import Experiment, Names
    from dwf_steps.pipeline.sizes import Sizes


class EvaluateZoo(StepSettings):
    """What is measured."""

    threads = "matrix"

    architecture: ArchitectureConfig
    evaluation: MeasurementConfig

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        return cls(architecture=experiment.architecture(names), evaluation=experiment.config.evaluation)

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """The Gram matrix, two of its parts when they are read or the distances that cells are found by, and
        values of some networks with all others."""
        predictions = 12 * sizes.n * sizes.m * sizes.classes
        seconds = 2 * sizes.n**2 * sizes.m * sizes.classes / sizes.FLOPS + sizes.realigning
        return Work(20 * sizes.n**2 + predictions + 16 * sizes.d * sizes.compared + 8 * sizes.BLOCK, seconds)


class FindNeighbours(StepSettings):
    """The seed of what is drawn."""

    seed: int

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:  # noqa: ARG003
        return cls(seed=experiment.config.evaluation.seed)

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """The Gram matrix, two of its parts when they are read or the distances that cells are found by."""
        return Work(24 * sizes.n**2 + sizes.BLOCK, 50 * sizes.n**2 / sizes.READ)


class Evaluate(EvaluateZoo):
    """The same of generated networks; and what networks respond to, where the generator works in
    responses."""

    probing: Probing | None = None

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        encoded = names.representation in experiment.encoded
        return cls(
            architecture=experiment.architecture(names),
            evaluation=experiment.config.evaluation,
            probing=experiment.responses(names).probing if encoded else None,
        )

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """A block of columns; predictions, in both precisions; realigned and midpoint networks. In another
        representation than weights the generated networks' coordinates, and all pairs once more."""
        predictions = 12 * (sizes.n + sizes.g) * sizes.m * sizes.classes
        pairs = (24 * sizes.n**2 + 64 * sizes.g * (sizes.n + sizes.g)) * (1 + sizes.encoded)
        held = (
            sizes.block
            + predictions
            + 16 * sizes.d * sizes.compared
            + sizes.BLOCK
            + sizes.data
            + sizes.SCORING
            + pairs
        )
        each = sizes.m * sizes.classes + sizes.d
        seconds = sizes.realigning
        if sizes.encoded:
            held += 16 * sizes.g * sizes.coordinates + 2 * sizes.response_functions + 2 * sizes.BLOCK
            each += sizes.coordinates
            seconds += sizes.g * sizes.responding + sizes.n * sizes.item * sizes.coordinates / sizes.READ
        seconds += 2 * sizes.g * (sizes.n + sizes.g) * each / sizes.FLOPS
        return Work(held, seconds + (sizes.n * sizes.item + 4 * sizes.g) * sizes.d / sizes.READ)
