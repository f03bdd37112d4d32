"""Denoising diffusion: the noise schedule, noisy points, and taking the noise away."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from dwf_steps.config.generators.diffusion import DiffusionSampling
from dwf_steps.flow.fields import Batch, VelocityField
from dwf_steps.flow.fitting import Paths
from dwf_steps.runtime.progress import Progress


def kept_signal(timesteps: int) -> Tensor:
    """Return how much of a point's variance is left after each time step, abar (T + 1,) float64, abar_0 = 1.

    The variances beta of the steps rise evenly from 0.1 / T to 20 / T (Ho et al. 2020, section 4, where
    T = 1000).
    """
    betas = torch.linspace(0.1 / timesteps, 20 / timesteps, timesteps, dtype=torch.float64)
    return torch.cat([torch.ones(1, dtype=torch.float64), (1 - betas).cumprod(0)])


@dataclass(frozen=True)
class NoisyPaths(Paths[Batch]):
    """Latents with noise, sqrt(abar) x0 + sqrt(1 - abar) e at time steps drawn evenly (Ho et al. 2020,
    equation 4), and what the network should predict: v = sqrt(abar) e - sqrt(1 - abar) x0 (Salimans & Ho
    2022, arXiv 2202.00512, appendix D).

    Where little but noise is left, an error of v is an error of x0, while one of predicted noise would be
    multiplied by 1 / sqrt(abar), and latents have no range that x0 could be clipped to.

    Attributes
    ----------
    kept
        abar, as of `kept_signal`.
    """

    kept: Tensor

    def draw(self, size: int, generator: torch.Generator, validating: bool = False) -> Batch:
        rows, timesteps = self.validated if validating else self.fitted, len(self.kept) - 1
        device = self.targets.device
        x0 = self.targets[rows[torch.randint(len(rows), (size,), generator=generator)].to(device)]
        step = torch.randint(1, timesteps + 1, (size, 1), generator=generator)
        noise = torch.randn(size, self.dimension, generator=generator).to(device)
        signal, other = (part.sqrt().to(x0) for part in (self.kept[step], 1 - self.kept[step]))
        t, x, v = (step / timesteps).to(x0), signal * x0 + other * noise, signal * noise - other * x0
        return Batch(t, x, v, x0)

    def field(self, network: nn.Module) -> VelocityField:
        return VelocityField(network)


@torch.no_grad()
def denoise(
    predict: Callable[[Tensor, Tensor], Tensor],
    start: Tensor,
    kept: Tensor,
    sampling: DiffusionSampling,
    generator: torch.Generator,
) -> tuple[Tensor, int]:
    """Take the noise away from ``start`` (n, k), standard normal (times the temperature).

    From time step k to an earlier one s (Song et al. 2021, arXiv 2010.02502, equations 12 and 16),

        x_s = sqrt(abar_s) x0 + sqrt(1 - abar_s - sigma^2) e + sigma z,
        sigma^2 = eta^2 (1 - abar_s) / (1 - abar_k) (1 - abar_k / abar_s),

    with x0 = sqrt(abar_k) x_k - sqrt(1 - abar_k) v and e = sqrt(1 - abar_k) x_k + sqrt(abar_k) v of the
    predicted v, and fresh noise z.

    Parameters
    ----------
    predict
        v (n, k), as of `NoisyPaths`, at times (n, 1) from 0 to 1 and points (n, k).
    kept
        abar, as of `kept_signal`.

    Returns
    -------
    (n, k), and how often ``predict`` was evaluated.
    """
    timesteps, x = len(kept) - 1, start
    steps = torch.linspace(timesteps, 0, sampling.steps + 1).round().long().tolist()
    with Progress("evaluation", sampling.steps) as report:
        for now, then in pairwise(steps):
            before, after = (float(kept[step]) for step in (now, then))
            v = predict(torch.full((len(x), 1), now / timesteps).to(x), x)
            clean = math.sqrt(before) * x - math.sqrt(1 - before) * v
            noise = math.sqrt(1 - before) * x + math.sqrt(before) * v
            sigma = sampling.eta * math.sqrt((1 - after) / (1 - before) * max(0.0, 1 - before / after))
            x = math.sqrt(after) * clean + math.sqrt(max(0.0, 1 - after - sigma**2)) * noise
            if sigma:
                fresh = torch.randn(x.shape, generator=generator).to(x)
                x = x + sigma * sampling.temperature * fresh
            report.advance()
    return x, sampling.steps
