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
    """How noise is removed, from the last time step to the first."""

    steps: Annotated[int, Field(ge=1)] = 50
    """Number of evaluations of the denoiser, at evenly spaced time steps; at most `timesteps`."""
    eta: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Amount of noise added at every step: 0 is deterministic DDIM sampling (Song et al. 2021); 1, with
    `steps` equal to `timesteps`, is DDPM's ancestral sampling (Ho et al. 2020)."""
    temperature: Positive = 1.0
    """Factor of the standard deviation of all noise; below 1 samples are less diverse."""


class DiffusionConfig(GeneratorConfig):
    """A denoising diffusion model of the networks' latents (DDPM; Ho et al. 2020, arXiv 2006.11239).

    It uses the same networks and training loop as flows.
    """

    implementation: ClassVar[str] = "dwf_steps.generators.diffusion:Diffusion"
    control: ClassVar[bool] = False
    accelerated: ClassVar[bool] = True

    kind: Literal["diffusion"]
    """Selects a diffusion model."""
    timesteps: Annotated[int, Field(ge=50)] = 1000
    """Number of time steps T over which noise is added; the variances rise linearly from 0.1 / T to 20 /
    T."""
    denoiser: AnyVelocity = VelocityConfig()
    """The network, which predicts v, from which the data and the noise follow; it is one of the flows'
    velocity networks."""
    training: FlowTraining = FlowTraining()
    """How the denoiser is fitted."""
    sampling: DiffusionSampling = DiffusionSampling()
    """How networks are sampled; changing it does not repeat the fit."""

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
        """A flow with the same network, which is fitted to the same rows at the same cost per step."""
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
    """Yield problems of a flow's velocity network as those of a denoiser."""
    for problem in problems:
        yield problem.replace("velocity.network", "denoiser.network")
