"""Settings of analyses of flows: log-densities of networks, and networks of other widths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from dwf_steps.config.generators.flow import FlowConfig
from dwf_steps.pipeline.network_facts import network_facts
from dwf_steps.pipeline.settings.base import StepSettings, Work
from dwf_steps.pipeline.settings.generate import SampleGenerator, spent

if TYPE_CHECKING:
    from dwf_steps.pipeline.experiment import Experiment, Names
    from dwf_steps.pipeline.sizes import Sizes


class Likelihood(StepSettings):
    """The flow, and the networks whose log-densities are requested."""

    accelerated = True

    flow: FlowConfig

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        flow = experiment.generator(names).without("sampling", "other_widths")
        return cls.model_validate({"flow": flow})

    @staticmethod
    def work(sizes: Sizes) -> Work:
        flow = sizes.generator
        assert isinstance(flow, FlowConfig) and flow.likelihood is not None
        return spent(flow.likelihood_work(sizes, flow.likelihood), sizes)


class SampleOtherWidths(StepSettings):
    """The flow, and the widths to sample."""

    accelerated = True

    flow: FlowConfig
    widths: list[int]

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        flow = experiment.generator(names)
        return cls.model_validate({"flow": flow.as_sampled(), "widths": flow.other_sizes[names.widths]})

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """Return the work of sampling, in proportion to the number of weights."""
        held, seconds = SampleGenerator.work(sizes)
        widest = max(
            network_facts(sizes.zoo.architecture.model_copy(update={"widths": widths})).n_parameters
            for widths in sizes.generator.other_sizes.values()
        )
        held = held * widest / sizes.d + 12 * sizes.n * sizes.d + sizes.data
        return Work(held, seconds * widest / sizes.d)
