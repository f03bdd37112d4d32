"""Settings of canonicalization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.canonicalization import Canonicalization, Matching, until_barycentre
from dwf_steps.pipeline.settings.base import StepSettings, Work

if TYPE_CHECKING:
    from dwf_steps.pipeline.experiment import Experiment, Names
    from dwf_steps.pipeline.sizes import Sizes


class ChooseReference(StepSettings):
    """A network's name, or `medoid` of those that are not among the last ``held_out`` trajectories (networks,
    where they are no checkpoints)."""

    reference: str
    held_out: int

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        """Held-out networks matter to the medoid alone; a reference by name is checked beforehand."""
        name = experiment.reference(names)
        return cls(reference=name, held_out=experiment.zoo(names).held_out if name == "medoid" else 0)

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """The medoid is found block by block: one as read, one centred, and two Gram matrices."""
        if not sizes.medoid:
            return Work(8 * sizes.d, 8 * sizes.d / sizes.READ)
        held = 3 * min(sizes.BLOCK, 4 * sizes.n * sizes.d) + 16 * sizes.n**2
        return Work(held, 12 * sizes.n * sizes.d / sizes.READ)


class FindBarycentre(StepSettings):
    """How networks are matched to it, the methods that come before, and how many trajectories (networks,
    where they are no checkpoints), the last ones, play no part in it."""

    architecture: ArchitectureConfig
    before: Canonicalization
    matching: Matching
    held_out: int

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        """Methods that follow the matching to the barycentre play no part in it."""
        *before, matching = until_barycentre(experiment.config.canonicalizations[names.canon])
        return cls(
            architecture=experiment.architecture(names),
            before=before,
            matching=matching,
            held_out=experiment.zoo(names).held_out,
        )

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """A group of networks in both precisions, permuted, and what units gain; means in float64. Ten sweeps
        for every network in every round. The data, where responses are matched, and what is responded."""
        group = 10 * sizes.group(sizes.n)
        seconds = 40 * sizes.d * sizes.most_units / sizes.FLOPS + 4 * sizes.d / sizes.READ
        responses = sizes.unit_responses
        held = group + sizes.BLOCK + 32 * sizes.d + responses.held
        return Work(held, (sizes.rounds + 1) * sizes.n * (seconds + responses.seconds))


class Canonicalize(StepSettings):
    """The methods, and what they are applied to. A GPU is of use to the networks that barriers are measured
    of."""

    accelerated = True

    methods: Canonicalization
    architecture: ArchitectureConfig

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        methods = experiment.config.canonicalizations[names.canon]
        return cls(methods=methods, architecture=experiment.architecture(names))

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """Networks before and after in both precisions, permuted, and at midpoints; sweeps, and barriers."""
        held = 60 * sizes.s * sizes.d + sizes.data + sizes.SCORING + sizes.unit_responses.held
        barriers = sizes.s * 30_000 * sizes.multiplications / sizes.FLOPS
        return Work(held, Canonicalize.seconds_without_gpu(sizes) + barriers)

    @staticmethod
    def seconds_without_gpu(sizes: Sizes) -> float:
        matching = 4 * sizes.sweeps * sizes.d * sizes.most_units / sizes.FLOPS
        return sizes.s * (matching + 2 * sizes.unit_responses.seconds)

    @staticmethod
    def uses_gpu(sizes: Sizes) -> bool:
        """Where networks are run for longer than they are matched."""
        return Canonicalize.work(sizes).seconds > 2 * Canonicalize.seconds_without_gpu(sizes)

    @staticmethod
    def disk(sizes: Sizes) -> float:
        return 4 * sizes.s * sizes.d
