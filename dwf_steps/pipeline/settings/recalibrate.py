"""Settings of recalibration, for generated networks and for the zoo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.dataset import Shift
from dwf_steps.config.recalibration import Recalibration
from dwf_steps.pipeline.settings.base import StepSettings, Work

if TYPE_CHECKING:
    from dwf_steps.pipeline.experiment import Experiment, Names
    from dwf_steps.pipeline.sizes import Sizes


class Recalibrate(StepSettings):
    """The methods, and the architecture of the networks."""

    accelerated = True

    architecture: ArchitectureConfig
    methods: Recalibration

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        return cls(
            architecture=experiment.architecture(names),
            methods=experiment.config.recalibrations[names.recalibration],
        )

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """Return the work of some steps on training examples, for networks with gradients and moments."""
        networks = sizes.generated_shard
        group = 10 * sizes.group(networks)
        seconds = networks * sizes.multiplications * sizes.examples_seen / sizes.FLOPS
        return Work(group + sizes.data + sizes.SCORING, seconds + 8 * networks * sizes.d / sizes.READ)

    @staticmethod
    def disk(sizes: Sizes) -> float:
        return 4 * sizes.generated_shard * sizes.d


class RecalibrateZoo(Recalibrate):
    """The methods, and the out-of-distribution inputs on which networks are scored as well."""

    out_of_distribution: Shift | None = None

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        return cls(
            architecture=experiment.architecture(names),
            methods=experiment.config.recalibrations[names.recalibration],
            out_of_distribution=experiment.zoo(names).out_of_distribution,
        )

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """Return the work as for generated networks, and of predicting with all networks."""
        group = 10 * sizes.group(sizes.n)
        seconds = sizes.n * sizes.multiplications * (2 * sizes.tested + sizes.examples_seen) / sizes.FLOPS
        return Work(group + 4 * sizes.n * sizes.tested * sizes.classes + sizes.data + sizes.SCORING, seconds)

    @staticmethod
    def disk(sizes: Sizes) -> float:
        return 4 * sizes.n * sizes.tested * sizes.classes
