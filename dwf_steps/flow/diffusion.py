"""Denoising diffusion: noise schedule, noisy points and sampling."""

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
    """Compute the noise schedule.

    The steps' variances beta rise linearly from 0.1 / T to 20 / T (Ho et al. 2020, section 4, where T =
    1000).

    Parameters
    ----------
    timesteps
        T, the number of time steps.

    Returns
    -------
    abar, the product of 1 - beta up to each time step, (T + 1,) float64, from abar_0 = 1: the share of a
    latent's variance that is left.
    """
    betas = torch.linspace(0.1 / timesteps, 20 / timesteps, timesteps, dtype=torch.float64)
    return torch.cat([torch.ones(1, dtype=torch.float64), (1 - betas).cumprod(0)])


@dataclass(frozen=True)
class NoisyPaths(Paths[Batch]):
    """Noisy latents and the prediction targets of a diffusion model.

    Points are sqrt(abar) x0 + sqrt(1 - abar) e at uniformly drawn time steps (Ho et al. 2020, equation 4);
    the network predicts v = sqrt(abar) e - sqrt(1 - abar) x0 (Salimans & Ho 2022, arXiv 2202.00512, appendix
    D). When almost only noise is left, an error of v is an error of x0 of the same size, whereas an error of
    predicted noise is multiplied by 1 / sqrt(abar); latents have no range that x0 could be clipped to.

    Attributes
    ----------
    kept
        abar, (T + 1,), from `kept_signal`.
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
    """Sample from a diffusion model.

    From time step k to an earlier one s (Song et al. 2021, arXiv 2010.02502, equations 12 and 16),

        x_s = sqrt(abar_s) x0 + sqrt(1 - abar_s - sigma^2) e + sigma z,
        sigma^2 = eta^2 (1 - abar_s) / (1 - abar_k) (1 - abar_k / abar_s),

    where x0 = sqrt(abar_k) x_k - sqrt(1 - abar_k) v and e = sqrt(1 - abar_k) x_k + sqrt(abar_k) v for the
    predicted v, and z is fresh noise.

    Parameters
    ----------
    predict
        Maps times (n, 1) in [0, 1] and points (n, k) to v (n, k), as defined in `NoisyPaths`.
    start
        Initial noise, (n, k): standard normal, times the temperature.
    kept
        abar, (T + 1,), from `kept_signal`.
    sampling
        Number of steps, eta, and the temperature of the fresh noise.
    generator
        Source of the fresh noise.

    Returns
    -------
    The samples, (n, k), and the number of evaluations of ``predict``.
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
