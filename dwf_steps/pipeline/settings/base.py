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
    """The largest arrays that a step holds at once, in bytes, and its arithmetic and reading, in seconds of
    one thread."""

    held: float
    seconds: float


class StepSettings(Section):
    """Everything of the configuration that decides a step's result, and nothing else: a changed value reruns
    the step and what follows, and nothing besides. Nothing in it grows with the number of networks, since it
    travels on a command line."""

    threads: ClassVar[Literal["one", "networks", "matrix"]] = "one"
    """What more than one thread would work on: large networks in training, or a large weight matrix."""
    accelerated: ClassVar[bool] = False
    """Whether a GPU is asked for where the work is long."""
    small_operations: ClassVar[bool] = False
    """Whether the work consists of operations too small to fill a GPU, whatever the networks' size."""

    @classmethod
    @abstractmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        """Return what the job with these wildcards is told.

        Parameters
        ----------
        names
            The job's wildcards.
        """

    @staticmethod
    @abstractmethod
    def work(sizes: Sizes) -> Work:
        """Estimate what the job takes, from the sizes of its problem."""

    @staticmethod
    def seconds_without_gpu(sizes: Sizes) -> float:  # noqa: ARG004
        """Return, of the seconds that the job takes, those that a GPU would not shorten."""
        return 0.0

    @staticmethod
    def disk(sizes: Sizes) -> float:  # noqa: ARG004
        """Return the bytes of the large files that the job leaves: networks, matrices, predictions."""
        return 0.0

    @staticmethod
    def gpu_bytes(sizes: Sizes) -> float:  # noqa: ARG004
        """Return the bytes that the job cannot do without on a GPU, however little it runs at once; as far as
        is known."""
        return 0.0

    @staticmethod
    def uses_gpu(sizes: Sizes) -> bool:  # noqa: ARG004
        """Return whether a job of an accelerated step can use a GPU."""
        return True

    def to_argument(self) -> str:
        """Return the settings as the step's command line has them."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True)
