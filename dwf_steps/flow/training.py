"""Fitting the velocity field by conditional flow matching."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from dwf_steps.config.generators.flow import FlowConfig
from dwf_steps.flow.condition import told
from dwf_steps.flow.coupling import couple
from dwf_steps.flow.fields import Batch, VelocityField, build_velocity
from dwf_steps.flow.fitting import Paths, TrainedFlow, fit_network
from dwf_steps.flow.graph import NetworkSpec
from dwf_steps.flow.path import draw_times, probability_path
from dwf_steps.flow.source import Source
from dwf_steps.flow.velocity import ConditionEmbedding, Embedding, TimeEmbedding
from dwf_steps.storage.checkpoint import Checkpoint


def draw_batch(
    targets: Tensor,
    size: int,
    config: FlowConfig,
    generator: torch.Generator,
    source: Source,
    rows: Tensor | None = None,
    condition: Tensor | None = None,
) -> Batch:
    """Draw ``size`` points of the paths from fresh draws of the source, or from every latent's own start, to
    latents (n, k) of unit variance, on the source's manifold.

    Parameters
    ----------
    rows
        Which of the latents are drawn, (m,); by default all.
    condition
        What is told of each latent, standardised, (n, 1): left out, and NaN, as often as
        ``config.condition`` says.
    """
    k, manifold = targets.shape[1], source.manifold
    rows = torch.arange(len(targets)) if rows is None else rows
    chosen = rows[torch.randint(len(rows), (size,), generator=generator)]
    x0 = source.draw(size, k, generator, device=targets.device, partners=chosen)
    noise = torch.randn(size, k, generator=generator).to(targets.device)
    t = draw_times(size, config.time, generator).to(targets.device)
    chosen = chosen.to(targets.device)
    chosen = chosen[couple(x0, targets[chosen], config.coupling, manifold)]
    x1 = targets[chosen]
    points = probability_path(manifold, x0, x1, t, noise, config.sigma)
    if condition is not None and config.condition is not None:
        t = torch.cat([t, told(condition[chosen], config.condition, generator)], dim=1)
    return Batch(t, *points, x1)


def fit_velocity(
    latents: Tensor,
    config: FlowConfig,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
    network: NetworkSpec | None = None,
    source: Source | None = None,
    condition: Tensor | None = None,
    left_out: Tensor | None = None,
    embedding: Embedding = ConditionEmbedding,
) -> TrainedFlow:
    """Fit a velocity field to latents (n, k) of unit variance.

    The loss is the mean over batch and coordinates of |v(t, x_t) - u_t|^2 (Lipman et al. 2023), or of the
    squared error of predicted endpoints. The validation loss is that of the averaged network on draws of
    (t, x0, x1) that training never uses. Where latents are left out it is measured on these, the average with
    the lowest one is kept, and the fit stops after ``config.training.patience`` reports without a lower one.

    Parameters
    ----------
    network
        What latents are, where the velocity network must know.
    source
        Where paths start, on the manifold whose geodesics they are; by default standard normal, times
        ``config.source_std``, in flat space.
    condition
        What is told of each latent, standardised, (n, 1).
    left_out
        Which latents the fit never sees, (n,) bool.
    embedding
        Of times and conditions, where these are given.

    Raises
    ------
    FloatingPointError
        If the loss is not finite.
    """
    start = Source(std=config.source_std) if source is None else source
    condition = None if condition is None else condition.to(device)
    paths = FlowPaths(latents.to(device), left_out, config, start, condition)
    given = TimeEmbedding if condition is None else embedding
    build = partial(build_velocity, paths.dimension, config.velocity, network, given)
    return fit_network(build, paths, config.training, device, checkpoint)


@dataclass(frozen=True)
class FlowPaths(Paths[Batch]):
    """Paths from the ``source``, drawn by `draw_batch`, which says what ``condition`` is."""

    config: FlowConfig
    source: Source
    condition: Tensor | None

    def draw(self, size: int, generator: torch.Generator, validating: bool = False) -> Batch:
        return draw_batch(
            *(self.targets, size, self.config, generator, self.source),
            rows=self.validated if validating else self.fitted,
            condition=self.condition,
        )

    def field(self, network: nn.Module) -> VelocityField:
        return VelocityField(network, self.config.prediction, self.source.manifold)
