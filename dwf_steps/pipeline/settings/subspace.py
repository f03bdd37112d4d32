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
    """How many networks are held out, and how the matrix is stored.

    The last ``held_out`` networks, or trajectories of checkpoints, have the last rows, which are not used for
    means and bases.
    """

    held_out: int
    dtype: Literal["float16", "float32"]
    memory_mb: int

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        """Return the settings; the number of jobs of later passes does not affect how it is stored."""
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
    """The zoos whose networks are joined, the architecture that fits all, and how the matrix is stored."""

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
    """Which part of the columns is accumulated."""

    threads = "matrix"

    part: int
    parts: int

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        return cls(part=int(names.part), parts=experiment.zoo(names).matrix.gram_jobs)

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """Return the work of products of blocks, of which one more than threads is held."""
        each = sizes.item / sizes.READ + 2 * sizes.n / sizes.FLOPS
        seconds = sizes.n * sizes.coordinates * each / sizes.zoo.matrix.gram_jobs
        return Work(5 * (2 * sizes.CHUNK + 24 * sizes.n**2), seconds)


class SolveBasis(StepSettings):
    """The subspace."""

    subspace: SubspaceConfig

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        return cls(subspace=experiment.config.subspaces[names.subspace])

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """Return the work of the Gram matrix's eigenvectors.

        For scikit-learn's IncrementalPCA, several copies of the matrix are held instead.
        """
        whole = sizes.n * sizes.coordinates * sizes.whole
        seconds = sizes.solving + 20 * sizes.n * whole / sizes.FLOPS
        return Work(64 * sizes.n**2 + (40 + 4 * sizes.item) * whole, seconds)
