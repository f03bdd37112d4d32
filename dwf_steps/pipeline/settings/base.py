"""What the settings of all steps share."""

from __future__ import annotations

import json
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, Self

from dwf_steps.config.section import Section

if TYPE_CHECKING:
    from dwf_steps.pipeline.experiment import Experiment, Names
    from dwf_steps.pipeline.sizes import Sizes


class Work(NamedTuple):
    """Estimated resources of a job.

    Attributes
    ----------
    held
        Size of the largest arrays that the step holds at once, in bytes.
    seconds
        Duration of its arithmetic and reading on one thread, in seconds.
    """

    held: float
    seconds: float


class StepSettings(Section):
    """The part of the configuration that determines a step's result.

    A changed value reruns this step and those that follow, and no others. Settings must not grow with the
    number of networks, since they travel on a command line.
    """

    threads: ClassVar[Literal["one", "networks", "matrix"]] = "one"
    """What several threads would work on: large networks in training, or a large weight matrix."""
    accelerated: ClassVar[bool] = False
    """Whether a GPU is requested for long jobs."""
    small_operations: ClassVar[bool] = False
    """Whether the operations are too small to fill a GPU, for networks of any size."""

    @classmethod
    @abstractmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        """Return the settings of the job with the given wildcards.

        Parameters
        ----------
        experiment
            The experiment.
        names
            The job's wildcards.

        Returns
        -------
        The settings.
        """

    @staticmethod
    @abstractmethod
    def work(sizes: Sizes) -> Work:
        """Estimate what the job takes from the sizes of its problem."""

    @staticmethod
    def seconds_without_gpu(sizes: Sizes) -> float:  # noqa: ARG004
        """Return the part of the job's duration that a GPU would not shorten, in seconds."""
        return 0.0

    @staticmethod
    def disk(sizes: Sizes) -> float:  # noqa: ARG004
        """Return the bytes of the large files that the job leaves: networks, matrices, predictions."""
        return 0.0

    @staticmethod
    def gpu_bytes(sizes: Sizes) -> float:  # noqa: ARG004
        """Return the minimum memory of the job on a GPU in bytes, as far as it is known."""
        return 0.0

    @staticmethod
    def uses_gpu(sizes: Sizes) -> bool:  # noqa: ARG004
        """Return whether a job of an accelerated step can use a GPU."""
        return True

    def to_argument(self) -> str:
        """Return the settings for the step's command line."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True)
