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
    """The name of a network, or `medoid`, and the number of networks that are held out.

    Held-out networks, or trajectories of checkpoints, are the last ``held_out``; the medoid is none of them.
    """

    reference: str
    held_out: int

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        """Return the settings; the number held out only affects the medoid, as names are checked earlier."""
        name = experiment.reference(names)
        return cls(reference=name, held_out=experiment.zoo(names).held_out if name == "medoid" else 0)

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """Return the work of finding the medoid block by block.

        A block is held as read and centred, beside two Gram matrices.
        """
        if not sizes.medoid:
            return Work(8 * sizes.d, 8 * sizes.d / sizes.READ)
        held = 3 * min(sizes.BLOCK, 4 * sizes.n * sizes.d) + 16 * sizes.n**2
        return Work(held, 12 * sizes.n * sizes.d / sizes.READ)


class FindBarycentre(StepSettings):
    """How networks are matched to their barycentre, and the methods applied before.

    The last ``held_out`` networks, or trajectories of checkpoints, are excluded.
    """

    architecture: ArchitectureConfig
    before: Canonicalization
    matching: Matching
    held_out: int

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        """Return the settings; methods after the matching to the barycentre do not affect it."""
        *before, matching = until_barycentre(experiment.config.canonicalizations[names.canon])
        return cls(
            architecture=experiment.architecture(names),
            before=before,
            matching=matching,
            held_out=experiment.zoo(names).held_out,
        )

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """Return the work of ten sweeps for every network in every round.

        A group of networks is held in both precisions, permuted, with the gains of units, and means in
        float64; for matching by responses, also the data and the responses.
        """
        group = 10 * sizes.group(sizes.n)
        seconds = 40 * sizes.d * sizes.most_units / sizes.FLOPS + 4 * sizes.d / sizes.READ
        responses = sizes.unit_responses
        held = group + sizes.BLOCK + 32 * sizes.d + responses.held
        return Work(held, (sizes.rounds + 1) * sizes.n * (seconds + responses.seconds))


class Canonicalize(StepSettings):
    """The methods, and the architecture of the networks.

    A GPU is only useful for measuring barriers.
    """

    accelerated = True

    methods: Canonicalization
    architecture: ArchitectureConfig

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        methods = experiment.config.canonicalizations[names.canon]
        return cls(methods=methods, architecture=experiment.architecture(names))

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """Return the work of sweeps and barriers, with networks held before, after, and at midpoints."""
        held = 60 * sizes.s * sizes.d + sizes.data + sizes.SCORING + sizes.unit_responses.held
        barriers = sizes.s * 30_000 * sizes.multiplications / sizes.FLOPS
        return Work(held, Canonicalize.seconds_without_gpu(sizes) + barriers)

    @staticmethod
    def seconds_without_gpu(sizes: Sizes) -> float:
        matching = 4 * sizes.sweeps * sizes.d * sizes.most_units / sizes.FLOPS
        return sizes.s * (matching + 2 * sizes.unit_responses.seconds)

    @staticmethod
    def uses_gpu(sizes: Sizes) -> bool:
        """Return whether running networks takes longer than matching them."""
        return Canonicalize.work(sizes).seconds > 2 * Canonicalize.seconds_without_gpu(sizes)

    @staticmethod
    def disk(sizes: Sizes) -> float:
        return 4 * sizes.s * sizes.d
