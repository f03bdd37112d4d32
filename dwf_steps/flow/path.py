"""The probability path between source and target, and how its times are drawn."""

import torch
from torch import Tensor

from dwf_steps.config.generator import TimeDistribution


def linear_path(x0: Tensor, x1: Tensor, t: Tensor, noise: Tensor, sigma: float) -> Tensor:
    """Return x_t = (1 - t) x0 + t x1 + sigma e (Lipman et al. 2023; Tong et al. 2024, equation 15).

    Parameters
    ----------
    x0, x1, noise
        (batch, k): source, target, standard normal e.
    t
        (batch, 1), in [0, 1].
    """
    return torch.lerp(x0, x1, t).add_(noise, alpha=sigma)


def linear_velocity(x0: Tensor, x1: Tensor) -> Tensor:
    """Return the conditional velocity u_t = x1 - x0 of `linear_path`, (batch, k)."""
    return x1 - x0


def draw_times(n: int, times: TimeDistribution, generator: torch.Generator) -> Tensor:
    """Draw training times (n, 1) from [0, 1], uniform or Beta(a, b).

    Beta draws are X / (X + Y) with X ~ Gamma(a) and Y ~ Gamma(b).
    """
    if times.distribution == "uniform":
        return torch.rand(n, 1, generator=generator)
    x, y = (
        torch._standard_gamma(torch.full((n, 1), shape, dtype=torch.float64), generator=generator)
        for shape in (times.a, times.b)
    )
    return (x / (x + y)).float()
