"""How the networks of learned generators are fitted.

The settings are shared by flows, diffusion models, autoencoders and autoencoders of tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, model_validator

from dwf_steps.config.generators.base import Context, Positive, Sizes, Work
from dwf_steps.config.section import Section, Seed, planning
from dwf_steps.config.zoo import trajectory_names


class FlowTraining(Section):
    """How the network is fitted (AdamW, cosine schedule, exponential moving average)."""

    steps: Annotated[int, Field(ge=1)] = 30_000
    """Number of optimisation steps."""
    batch_size: Annotated[int, Field(ge=1)] = 8
    """Pairs (source noise, training network) per step."""
    lr: Positive = 5e-4
    """Initial learning rate."""
    lr_min: Annotated[float, Field(ge=0)] = 1e-6
    """Learning rate at the end of the cosine schedule."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-5
    """Decoupled weight decay."""
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.95)
    """Adam's decay rates."""
    clip: Positive | None = None
    """Maximum norm of the gradient; larger gradients are rescaled to it."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Decay of the moving average of the weights, which is used for sampling; 0 uses the last weights."""
    seed: Seed = 0
    """Seed of initial weights, batches, noise and dropout, and of the choice of networks that are left
    out."""
    validation_networks: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the training networks that is left out of the fit, as whole trajectories, at least one unless
    it is 0. The validation loss is then measured on these, and the averaged weights with the lowest
    validation loss are kept. With 0 it is measured on all training networks, with other noise than in the
    fit, and the last weights are kept. The zoo's held-out networks are never used."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Stop after this number of measurements without a lower validation loss, which is measured 50 times in
    `steps`; needs `validation_networks`."""

    @model_validator(mode="after")
    def _patience_with_networks_left_out(self) -> FlowTraining:
        if self.patience is not None and self.validation_networks == 0:
            raise ValueError(
                f"patience: found {self.patience} without validation_networks; it waits for a lower loss on "
                "networks that are left out: set validation_networks (0.1), or leave patience out"
            )
        return self

    def left_out(self, trajectories: int) -> int:
        """Return how many of the training networks' ``trajectories`` are left out of the fit."""
        share = self.validation_networks
        return max(1, round(share * trajectories)) if share else 0

    def validation_draws(self, dimension: int) -> int:
        """Return the number of points at which the validation loss is measured.

        This is 1024 or, for points of many coordinates, as many as fit in 256 MiB, but at least a batch.

        Parameters
        ----------
        dimension
            Coordinates of a point.

        Returns
        -------
        Number of points.
        """
        return min(1024, max(self.batch_size, 2**28 // (4 * dimension)))

    @planning
    def problems_with_zoo(self, where: str, zoo: str, context: Context) -> Iterator[str]:
        """Yield a line if too few networks of the zoo are left for the fit of a generator at ``where``."""
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
        """Return the work of fitting a network of ``used`` weights.

        Memory is for the weights, their average, gradients, two moments and saved copy, for the best average,
        and for raw latents in float64.
        """
        draws = self.batch_size + self.validation_draws(sizes.k)
        latents = sizes.n * sizes.k * (28 + sizes.item if sizes.raw else 12) + 24 * draws * sizes.k
        kept = 4 * used * (self.validation_networks > 0)
        operations = self.steps * used * (6 * self.batch_size + 30)
        return Work(28 * used + kept + latents, operations, self.steps)
