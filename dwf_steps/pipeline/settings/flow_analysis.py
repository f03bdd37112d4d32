"""Settings of what flows are asked for besides networks like those they were trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from dwf_steps.config.generator import FlowConfig, FlowSampling
from dwf_steps.pipeline.settings.base import StepSettings, Work
from dwf_steps.pipeline.settings.generate import SampleFlow

if TYPE_CHECKING:
    from dwf_steps.pipeline.experiment import Experiment, Names
    from dwf_steps.pipeline.sizes import Sizes


class Likelihood(StepSettings):
    """The flow, with the networks whose likelihood is asked for."""

    accelerated = True

    flow: FlowConfig

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        flow = experiment.flow(names)
        return cls(flow=flow.model_copy(update={"sampling": FlowSampling(), "other_widths": []}))

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """Four evaluations a step, each with a derivative for every probe."""
        asked = sizes.flow.likelihood
        assert asked is not None
        n, probes = min(sizes.n, asked.networks) + sizes.g, asked.probes
        probes = sizes.k if asked.divergence == "exact" else probes
        held = (
            8 * sizes.v + 24 * n * sizes.k * (1 + asked.probes) + 2**26 + 12 * sizes.n * sizes.d * sizes.raw
        )
        evaluation = sizes.STEP * probes + 2 * sizes.v * n * (1 + 2 * probes) / sizes.FLOPS
        return Work(held, 4 * asked.steps * evaluation)


class SampleOtherWidths(StepSettings):
    """The flow, and the widths to sample."""

    accelerated = True

    flow: FlowConfig
    widths: list[int]

    @classmethod
    def of(cls, experiment: Experiment, names: Names) -> Self:
        widths = experiment.flow(names).other_sizes[names.widths]
        return cls(flow=experiment.sampled_flow(names), widths=widths)

    @staticmethod
    def work(sizes: Sizes) -> Work:
        """As many weights as the widths have, for as many as the flow was trained on."""
        held, seconds = SampleFlow.work(sizes)
        others = [
            sizes.zoo.architecture.model_copy(update={"widths": widths}).n_parameters
            for widths in sizes.flow.other_widths
        ]
        held = held * max(others) / sizes.d + 12 * sizes.n * sizes.d + sizes.data
        return Work(held, seconds * max(others) / sizes.d)
