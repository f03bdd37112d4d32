"""Settings of the zoo stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.architectures.base import Initialisation
from dwf_steps.config.zoo import ImportedZoo, TrainedZoo, TrainingConfig, Trajectory
from dwf_steps.pipeline.settings.base import StepSettings, Work

if TYPE_CHECKING:
    from dwf_steps.pipeline.experiment import Experiment, Names
    from dwf_steps.pipeline.sizes import Sizes


class TrainZoo(StepSettings):
    """What decides a shard's networks: those of ``count`` seeds from the ``first`` on."""

    threads = "networks"
    accelerated = True

    architecture: ArchitectureConfig
    training: TrainingConfig
    initialisations: tuple[Initialisation, ...]
    first: int
    count: int
    trajectory: Trajectory | None = None

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        zoo = experiment.zoo(names)
        assert isinstance(zoo, TrainedZoo)
        seeds = zoo.shard(int(names.shard))
        return cls(
            architecture=experiment.architecture(names),
            training=zoo.training,
            initialisations=zoo.initialisations,
            first=seeds.start,
            count=len(seeds),
            trajectory=zoo.trajectory,
        )

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """Weights, gradients, two moments, best, saved and written ones; a batch's inputs and activations;
        all checkpoints, saved and stacked, and their scores."""
        return sizes.training(sizes.trained, sizes.s)


class ImportZoo(StepSettings):
    """What the files should hold, and which of those that match the patterns this shard has: ``count`` from
    the ``first`` on, by name."""

    architecture: ArchitectureConfig
    files: str | list[str]
    keys: dict[str, str]
    first: int
    count: int

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        zoo = experiment.zoo(names)
        assert isinstance(zoo, ImportedZoo)
        files = experiment.imported_shard(names)
        return cls(
            architecture=experiment.architecture(names),
            files=zoo.files,
            keys=zoo.keys,
            first=files.start,
            count=len(files),
        )

    @staticmethod
    def work(sizes: Sizes) -> Work:
        return Work(
            12 * sizes.s * sizes.d + sizes.data + sizes.SCORING,
            8 * sizes.s * sizes.d / sizes.READ + 2 * sizes.s * sizes.multiplications * sizes.m / sizes.FLOPS,
        )
