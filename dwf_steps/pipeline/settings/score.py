"""Settings of scoring, for generated networks and for the zoo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.dataset import Shift
from dwf_steps.pipeline.settings.base import StepSettings, Work

if TYPE_CHECKING:
    from dwf_steps.pipeline.experiment import Experiment, Names
    from dwf_steps.pipeline.sizes import Sizes


class Score(StepSettings):
    """The networks' architecture, and the out-of-distribution inputs on which they are scored as well."""

    accelerated = True

    architecture: ArchitectureConfig
    out_of_distribution: Shift | None = None

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        return cls(
            architecture=experiment.architecture(names),
            out_of_distribution=experiment.zoo(names).out_of_distribution,
        )

    @staticmethod
    def work(sizes: Sizes) -> Work:
        return sizes.scoring(sizes.generated_shard)

    @staticmethod
    def disk(sizes: Sizes) -> float:
        return 4 * sizes.generated_shard * sizes.tested * sizes.classes


class ScoreZoo(Score):
    """The same settings, for the zoo's networks."""

    @staticmethod
    def work(sizes: Sizes) -> Work:
        return sizes.scoring(sizes.s)

    @staticmethod
    def disk(sizes: Sizes) -> float:
        return 4 * sizes.s * sizes.tested * sizes.classes
