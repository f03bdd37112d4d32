"""Settings of the weight matrix and the subspaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.subspace import SubspaceConfig
from dwf_steps.pipeline.settings.base import StepSettings, Work

if TYPE_CHECKING:
    from dwf_steps.pipeline.experiment import Experiment, Names
    from dwf_steps.pipeline.sizes import Sizes


class StackWeights(StepSettings):
    """How many trajectories (networks, where they are no checkpoints), the last ones, are held out: their
    rows come last, and no mean or basis sees them. How the matrix is stored."""

    held_out: int
    dtype: Literal["float16", "float32"]
    memory_mb: int

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        """Over how many jobs later passes are divided plays no part in how the matrix is stored."""
        zoo = experiment.zoo(names)
        return cls(held_out=zoo.held_out, dtype=zoo.matrix.dtype, memory_mb=zoo.matrix.memory_mb)

    @staticmethod
    def work(sizes: Sizes) -> Work:
        held = min(sizes.zoo.matrix.memory_mb * 2**20, 16 * sizes.n * sizes.d)
        return Work(held, 8 * sizes.n * sizes.d / sizes.READ)

    @staticmethod
    def disk(sizes: Sizes) -> float:
        return sizes.n * sizes.d * sizes.item


class JoinZoo(StepSettings):
    """The zoos whose networks are taken together, the architecture that all fit into, and how the matrix is
    stored."""

    zoos: list[str]
    architecture: ArchitectureConfig
    dtype: Literal["float16", "float32"]
    memory_mb: int

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        zoo = experiment.joint_zoo(names)
        return cls(
            zoos=list(zoo.members),
            architecture=experiment.architecture(names),
            dtype=zoo.matrix.dtype,
            memory_mb=zoo.matrix.memory_mb,
        )

    @staticmethod
    def work(sizes: Sizes) -> Work:
        return StackWeights.work(sizes)


class AccumulateGram(StepSettings):
    """Which part of how many."""

    threads = "matrix"

    part: int
    parts: int

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        return cls(part=int(names.part), parts=experiment.zoo(names).matrix.gram_jobs)

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """One block more than threads, each with its product."""
        each = sizes.item / sizes.READ + 2 * sizes.n / sizes.FLOPS
        seconds = sizes.n * sizes.coordinates * each / sizes.zoo.matrix.gram_jobs
        return Work(5 * (2 * sizes.CHUNK + 24 * sizes.n**2), seconds)


class SolveBasis(StepSettings):
    """Which subspace."""

    subspace: SubspaceConfig

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        return cls(subspace=experiment.config.subspaces[names.subspace])

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """Eigenvectors of the Gram matrix; scikit-learn's IncrementalPCA holds the matrix several times."""
        whole = sizes.n * sizes.coordinates * sizes.whole
        seconds = (20 * sizes.n**3 + 20 * sizes.n * whole) / sizes.FLOPS
        return Work(64 * sizes.n**2 + (40 + 4 * sizes.item) * whole, seconds)
