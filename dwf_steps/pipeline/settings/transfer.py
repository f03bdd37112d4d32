"""Settings of transfers to other data sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from dwf_steps.config.architecture import ArchitectureConfig
from dwf_steps.config.transfer import TransferConfig
from dwf_steps.pipeline.settings.base import StepSettings, Work

if TYPE_CHECKING:
    from dwf_steps.pipeline.experiment import Experiment, Names
    from dwf_steps.pipeline.sizes import Sizes


class Transfer(StepSettings):
    """The networks' architecture, and the transfer."""

    threads = "networks"
    accelerated = True

    architecture: ArchitectureConfig
    transfer: TransferConfig

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        transfer = experiment.config.transfers[names.transfer]
        return cls(architecture=experiment.architecture(names), transfer=transfer)

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """Return the work of training on the other data set, with a test score after every epoch."""
        training = sizes.transfer.training
        networks, examples = min(sizes.transfer.networks, sizes.g), sizes.transfer_examples
        held = 28 * networks * sizes.d + 16 * networks * training.batch_size * sizes.units
        epoch = 8 * networks * sizes.multiplications * examples / sizes.FLOPS
        epoch += sizes.STEP * (examples / training.batch_size + networks)
        return Work(held + 2 * sizes.data * examples / sizes.m + sizes.SCORING, training.epochs * epoch)
