"""Settings of the zoo stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.architectures.base import Initialisation
from dwf_steps.config.network_files import NetworkFiles
from dwf_steps.config.zoo import ImportedZoo, RecordedValues, TrainedZoo, TrainingConfig, Trajectory
from dwf_steps.pipeline.settings.base import StepSettings, Work

if TYPE_CHECKING:
    from dwf_steps.pipeline.experiment import Experiment, Names
    from dwf_steps.pipeline.sizes import Sizes


class TrainZoo(StepSettings):
    """The networks of a shard, with ``count`` seeds from the ``first``, and how they are trained."""

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
        """Return the work of training a shard.

        Memory is for weights, gradients, two moments, and the best, saved and written weights; for a batch's
        inputs and activations; and for all checkpoints, saved and stacked, with their scores.
        """
        return sizes.training(sizes.trained, sizes.s)

    @staticmethod
    def disk(sizes: Sizes) -> float:
        return 4 * sizes.s * sizes.d

    @staticmethod
    def gpu_bytes(sizes: Sizes) -> float:
        return sizes.on_gpu(sizes.trained)


class ImportZoo(StepSettings):
    """What the files contain, and which networks are imported: ``count`` from the ``first``, in row order."""

    architecture: ArchitectureConfig
    files: str | list[str]
    contents: NetworkFiles = NetworkFiles()
    recorded: RecordedValues | None = None
    first: int
    count: int

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        zoo = experiment.zoo(names)
        assert isinstance(zoo, ImportedZoo)
        shard = experiment.imported_shard(names)
        return cls(
            architecture=experiment.architecture(names),
            files=zoo.files,
            contents=zoo.contents,
            recorded=zoo.recorded,
            first=shard.start,
            count=len(shard),
        )

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """Return the work of reading, stacking and scoring the networks.

        Memory is also for the other networks in the first and the last file.
        """
        assert isinstance(sizes.zoo, ImportedZoo)
        others = 2 * (sizes.zoo.networks_per_file or 0)
        return Work(
            (12 * sizes.s + 8 * others) * sizes.d + sizes.data + sizes.SCORING,
            8 * sizes.s * sizes.d / sizes.READ + 2 * sizes.s * sizes.multiplications * sizes.m / sizes.FLOPS,
        )

    @staticmethod
    def disk(sizes: Sizes) -> float:
        return 4 * sizes.s * sizes.d
