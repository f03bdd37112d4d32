"""How the networks of learned generators are fitted: flows, diffusion models, autoencoders, and tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, model_validator

from dwf_steps.config.generators.base import Context, Positive, Sizes, Work
from dwf_steps.config.section import Section, Seed, planning
from dwf_steps.config.zoo import trajectory_names


class FlowTraining(Section):
    """How the velocity network is fitted (AdamW, cosine schedule, exponential moving average)."""

    steps: Annotated[int, Field(ge=1)] = 30_000
    """Optimisation steps."""
    batch_size: Annotated[int, Field(ge=1)] = 8
    """Pairs (source noise, training network) a step."""
    lr: Positive = 5e-4
    """Initial learning rate."""
    lr_min: Annotated[float, Field(ge=0)] = 1e-6
    """Learning rate at the end of the cosine schedule."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-5
    """Decoupled weight decay."""
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.95)
    """Adam's decay rates."""
    clip: Positive | None = None
    """Largest norm of the gradient; longer ones are shortened to it."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Decay of the moving average of the weights, which is what samples; 0 keeps the last weights."""
    seed: Seed = 0
    """Seed of initial weights, batches, noise and dropout, and of which networks are left out."""
    validation_networks: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the training networks, whole trajectories, that the fit leaves out, at least one where it is
    not 0: the validation loss is then measured on them, and the averaged weights of the report with the
    lowest one are kept. With 0 it is measured on all networks, with other noise than the fit's, and the last
    weights are kept. The zoo's held-out networks are never among them."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Stop after so many reports without a lower validation loss, of which all `steps` have 50; needs
    `validation_networks`."""

    @model_validator(mode="after")
    def _patience_with_networks_left_out(self) -> FlowTraining:
        if self.patience is not None and self.validation_networks == 0:
            raise ValueError(
                f"patience: found {self.patience} without validation_networks; it waits for a lower loss on "
                "networks that are left out: set validation_networks (0.1), or leave patience out"
            )
        return self

    def left_out(self, trajectories: int) -> int:
        """Return how many of the ``trajectories`` that training networks lie on are left out of the fit."""
        share = self.validation_networks
        return max(1, round(share * trajectories)) if share else 0

    def validation_draws(self, dimension: int) -> int:
        """Return on how many points of ``dimension`` coordinates the validation loss is measured: 1024, or as
        many as take 256 MiB, but a batch at least."""
        return min(1024, max(self.batch_size, 2**28 // (4 * dimension)))

    @planning
    def problems_with_zoo(self, where: str, zoo: str, context: Context) -> Iterator[str]:
        """Yield a line where too few of the zoo's networks are left to fit a generator at ``where``."""
        config = context.config.zoos[zoo]
        trained = len(trajectory_names(config)) - config.held_out
        if (left := self.left_out(trained)) and trained - left < 2:
            yield (
                f"{where}.training.validation_networks: {self.validation_networks:g} leaves {left} "
                f"of zoo {zoo!r}'s {trained} trainings out and {trained - left} to fit, expected 2 at least; "
                "lower it"
            )

    @planning
    def work(self, used: float, sizes: Sizes) -> Work:
        """Return what fitting a network of ``used`` weights takes: these with mean, gradients, two moments
        and as saved, and their best mean; raw latents in float64."""
        draws = self.batch_size + self.validation_draws(sizes.k)
        latents = sizes.n * sizes.k * (28 + sizes.item if sizes.raw else 12) + 24 * draws * sizes.k
        kept = 4 * used * (self.validation_networks > 0)
        operations = self.steps * used * (6 * self.batch_size + 30)
        return Work(28 * used + kept + latents, operations, self.steps)
