"""The probability path between source and target, and the distribution of its times."""

import torch
from torch import Tensor

from dwf_steps.config.generators.flow import TimeDistribution
from dwf_steps.geometry.manifold import Manifold


def probability_path(
    manifold: Manifold, x0: Tensor, x1: Tensor, t: Tensor, noise: Tensor, sigma: float
) -> tuple[Tensor, Tensor]:
    """Compute points of a probability path, and their velocities.

    x_t = exp_x0(t log_x0 x1), perturbed by sigma e, and u_t = log_xt(x1) / (1 - t), computed as the
    geodesic's velocity so that no small numbers are divided (Chen & Lipman 2024, arXiv 2302.03660; Erdogan
    2025, arXiv 2504.03710). In flat space x_t = (1 - t) x0 + t x1 + sigma e and u_t = x1 - x0 (Lipman et al.
    2023, arXiv 2210.02747; Tong et al. 2024, arXiv 2302.00482).

    Parameters
    ----------
    manifold
        The space of the points.
    x0, x1
        Source points and targets, (b, d).
    t
        Times in [0, 1], (b, 1).
    noise
        Standard normal noise e, (b, d).
    sigma
        Standard deviation of the perturbation.

    Returns
    -------
    Points x_t and velocities u_t, each (b, d).
    """
    return manifold.perturb(*manifold.path(x0, x1, t), noise, sigma)


def draw_times(n: int, times: TimeDistribution, generator: torch.Generator) -> Tensor:
    """Draw training times, uniform or from a Beta(a, b) distribution.

    Beta draws are X / (X + Y) with X ~ Gamma(a) and Y ~ Gamma(b).

    Parameters
    ----------
    n
        Number of times.
    times
        Their distribution.
    generator
        Source of the random draws.

    Returns
    -------
    Times in [0, 1], (n, 1) float32.
    """
    if times.distribution == "uniform":
        return torch.rand(n, 1, generator=generator)
    x, y = (
        torch._standard_gamma(torch.full((n, 1), shape, dtype=torch.float64), generator=generator)
        for shape in (times.a, times.b)
    )
    return (x / (x + y)).float()
