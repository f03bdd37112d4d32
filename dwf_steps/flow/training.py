"""Fitting a velocity field by conditional flow matching."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from dwf_steps.config.generators.flow import FlowConfig
from dwf_steps.flow.condition import told
from dwf_steps.flow.coupling import couple
from dwf_steps.flow.fields import Batch, VelocityField, build_velocity, present_of
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
    present: Tensor | None = None,
) -> Batch:
    """Draw points of probability paths that end at latents of unit variance.

    Starting points are fresh draws from the source, or the starting points of a `PairedSource`.

    Parameters
    ----------
    targets
        Latents, (n, k), on the source's manifold.
    size
        Number of points, b.
    config
        Coupling, times, sigma and condition of the flow.
    generator
        Source of the random draws.
    source
        The source distribution.
    rows
        Indices of the latents to draw from, (m,); None for all.
    condition
        The standardised condition of each latent, (n, 1); dropped at random, as in `told`.
    present
        Which latents the networks of each zoo have, (zoos, k) bool, where conditions are zoos; by default
        all. The others do not move.

    Returns
    -------
    A batch of b points.
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
    if present is not None and condition is not None:
        here = present_of(present, condition[chosen])
        x0, noise = x0 * here, noise * here
    points = probability_path(manifold, x0, x1, t, noise, config.sigma)
    if condition is not None and config.condition is not None:
        zoos = [] if present is None else [condition[chosen]]
        t = torch.cat([t, told(condition[chosen], config.condition, generator), *zoos], dim=1)
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
    present: Tensor | None = None,
) -> TrainedFlow:
    """Fit a velocity field to latents of unit variance.

    The loss is the mean over batch and coordinates of |v(t, x_t) - u_t|^2 (Lipman et al. 2023, arXiv
    2210.02747), or of the squared error of predicted endpoints. The validation loss is that of the averaged
    network on draws of (t, x0, x1) that training never uses. If latents are held out, it is measured on
    these; the average with the lowest validation loss is kept, and the fit stops after
    ``config.training.patience`` reports without an improvement.

    Parameters
    ----------
    latents
        The targets, (n, k).
    config
        The flow.
    device
        Where the network is trained.
    checkpoint
        Where the state is saved at intervals, and resumed from.
    network
        The layout of the latents, for velocity networks that need it.
    source
        The distribution of starting points, on the manifold of the paths; by default normal with standard
        deviation ``config.source_std``, in flat space.
    condition
        The standardised condition, or the zoo's index, of each latent, (n, 1).
    left_out
        Which latents are held out for validation, (n,) bool.
    embedding
        Builds the embedding of times and conditions; unused without conditions.
    present
        Which latents the networks of each zoo have, (zoos, k) bool, where conditions are zoos; by default
        all.

    Returns
    -------
    The averaged network and its losses.

    Raises
    ------
    NumericalError
        If the loss is not finite.
    """
    start = Source(std=config.source_std) if source is None else source
    condition = None if condition is None else condition.to(device)
    present = None if present is None else present.to(device)
    paths = FlowPaths(latents.to(device), left_out, config, start, condition, present)
    given = TimeEmbedding if condition is None else embedding
    build = partial(build_velocity, paths.dimension, config.velocity, network, given, present)
    return fit_network(build, paths, config.training, device, checkpoint)


@dataclass(frozen=True)
class FlowPaths(Paths[Batch]):
    """Points of paths from the ``source``, drawn by `draw_batch`."""

    config: FlowConfig
    source: Source
    condition: Tensor | None
    present: Tensor | None = None

    def draw(self, size: int, generator: torch.Generator, validating: bool = False) -> Batch:
        return draw_batch(
            *(self.targets, size, self.config, generator, self.source),
            rows=self.validated if validating else self.fitted,
            condition=self.condition,
            present=self.present,
        )

    def field(self, network: nn.Module) -> VelocityField:
        return VelocityField(network, self.config.prediction, self.source.manifold)
