"""Denoising diffusion models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from dwf_steps.config.generators.base import Context, Draws, GeneratorConfig, Positive, Sizes, Work
from dwf_steps.config.generators.flow import FlowConfig
from dwf_steps.config.generators.flow_training import FlowTraining
from dwf_steps.config.generators.velocity import AnyVelocity, VelocityConfig
from dwf_steps.config.section import planning

if TYPE_CHECKING:
    from dwf_steps.config.workflow import WorkflowConfig


class DiffusionSampling(Draws):
    """How noise is taken away, from the last time step to the first."""

    steps: Annotated[int, Field(ge=1)] = 50
    """Evaluations of the network, at evenly spaced time steps; at most `timesteps`."""
    eta: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Noise that is added again at every step: 0 is DDIM's deterministic sampling (Song et al. 2021), 1 with
    as many steps as there are time steps DDPM's ancestral sampling (Ho et al. 2020)."""
    temperature: Positive = 1.0
    """Factor of the standard deviation of all noise: below 1 samples are more typical."""


class DiffusionConfig(GeneratorConfig):
    """A denoising diffusion model of the networks' latents (DDPM; Ho et al. 2020, arXiv 2006.11239), with the
    networks and the training loop that flows have."""

    implementation: ClassVar[str] = "dwf_steps.generators.diffusion:Diffusion"
    control: ClassVar[bool] = False
    accelerated: ClassVar[bool] = True

    kind: Literal["diffusion"]
    """Marks the generator as a diffusion model."""
    timesteps: Annotated[int, Field(ge=50)] = 1000
    """Time steps T over which noise is added; its variances rise evenly from 0.1 / T to 20 / T."""
    denoiser: AnyVelocity = VelocityConfig()
    """The network that predicts v, of which target and noise follow: one of the flows' velocity networks."""
    training: FlowTraining = FlowTraining()
    """Its training."""
    sampling: DiffusionSampling = DiffusionSampling()
    """Its sampling; changing it does not train again."""

    @property
    def fitted(self) -> bool:
        return True

    @model_validator(mode="after")
    def _no_more_steps_than_there_are(self) -> DiffusionConfig:
        if self.sampling.steps > self.timesteps:
            raise ValueError(
                f"sampling.steps ({self.sampling.steps}) must not exceed timesteps ({self.timesteps}), the "
                "time steps that the network knows; lower sampling.steps or raise timesteps"
            )
        return self

    @property
    def _as_flow(self) -> FlowConfig:
        """Return a flow with the same network, which fits the same rows and costs the same a step."""
        return FlowConfig(kind="flow", velocity=self.denoiser, training=self.training)

    @planning
    def problems_with_zoo(self, where: str, zoo: str, context: Context) -> Iterator[str]:
        yield from _of_denoiser(self._as_flow.problems_with_zoo(where, zoo, context))

    @planning
    def problems_with_representation(
        self, where: str, representation: str, config: WorkflowConfig
    ) -> Iterator[str]:
        problems = self._as_flow.problems_with_representation(where, representation, config)
        yield from _of_denoiser(problems)

    @planning
    def problems_with_subspace(self, where: str, subspace: str, config: WorkflowConfig) -> Iterator[str]:
        yield from _of_denoiser(self._as_flow.problems_with_subspace(where, subspace, config))

    @planning
    def fit_work(self, sizes: Sizes) -> Work:
        return self._as_flow.fit_work(sizes)

    @planning
    def fit_bytes(self, sizes: Sizes) -> float:
        return self._as_flow.fit_bytes(sizes)

    @planning
    def sample_work(self, sizes: Sizes) -> Work:
        used, g = self.denoiser.weights_used(sizes), sizes.g
        return Work(8 * used + 48 * g * sizes.k, 2 * used * g * self.sampling.steps, self.sampling.steps)


@planning
def _of_denoiser(problems: Iterator[str]) -> Iterator[str]:
    """Yield what is wrong with a flow's velocity network as what is wrong with a denoiser."""
    for problem in problems:
        yield problem.replace("velocity.network", "denoiser.network")
