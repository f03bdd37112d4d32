"""Settings of evaluation, for generated networks and for the zoo."""

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
    """The measurements."""

    threads = "matrix"

    architecture: ArchitectureConfig
    evaluation: MeasurementConfig

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        return cls(architecture=experiment.architecture(names), evaluation=experiment.config.evaluation)

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """Return the work of comparing all pairs of networks.

        The Gram matrix is held with two of its parts, or with distances between all networks, and with the
        values of some networks.
        """
        predictions = 12 * sizes.n * sizes.tested * sizes.classes
        # Large products: shared mistakes, shared choices, and distances between predictions.
        products = 2 * sizes.n**2 * sizes.tested * (1 + 2 * sizes.classes)
        seconds = products / sizes.PRODUCTS + sizes.realigning
        return Work(20 * sizes.n**2 + predictions + 16 * sizes.d * sizes.compared + 8 * sizes.BLOCK, seconds)


class FindNeighbours(StepSettings):
    """The seed of random draws."""

    seed: int

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:  # noqa: ARG003
        return cls(seed=experiment.config.evaluation.seed)

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """Return the work of the Gram matrix, with two parts of it or distances between all networks."""
        return Work(24 * sizes.n**2 + sizes.BLOCK, 50 * sizes.n**2 / sizes.READ)


class Evaluate(EvaluateZoo):
    """The measurements of generated networks and, for generators in response coordinates, the probes."""

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
        """Return the work of comparing generated networks with each other and with the zoo's.

        Memory is for a block of columns, predictions in both precisions, and realigned and midpoint networks.
        Outside weights, there are also the generated networks' coordinates and a second set of all pairs.
        """
        k = sizes.generator.count
        predictions = 12 * (sizes.n + k) * sizes.tested * sizes.classes
        pairs = (24 * sizes.n**2 + 64 * k * (sizes.n + k)) * (1 + sizes.encoded)
        held = (
            sizes.block_with(k)
            + predictions
            + 16 * sizes.d * sizes.compared
            + sizes.BLOCK
            + sizes.data
            + sizes.SCORING
            + pairs
        )
        each = sizes.tested * sizes.classes + sizes.d
        seconds = sizes.realigning
        if sizes.encoded:
            held += 16 * k * sizes.coordinates + 2 * sizes.response_functions + 2 * sizes.BLOCK
            each += sizes.coordinates
            seconds += k * sizes.responding + sizes.n * sizes.item * sizes.coordinates / sizes.READ
        seconds += 2 * k * (sizes.n + k) * each / sizes.FLOPS
        return Work(held, seconds + (sizes.n * sizes.item + 4 * k) * sizes.d / sizes.READ)
