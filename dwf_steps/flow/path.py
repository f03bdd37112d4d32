"""The probability path between source and target, and how its times are drawn."""

import torch
from torch import Tensor

from dwf_steps.config.generators.flow import TimeDistribution
from dwf_steps.geometry.manifold import Manifold


def probability_path(
    manifold: Manifold, x0: Tensor, x1: Tensor, t: Tensor, noise: Tensor, sigma: float
) -> tuple[Tensor, Tensor]:
    """Return x_t = exp_x0(t log_x0 x1), moved by sigma e, and its velocity (Lipman et al. 2023; Chen & Lipman
    2024, Riemannian flow matching; Erdogan 2025, arXiv 2504.03710).

    In flat space x_t = (1 - t) x0 + t x1 + sigma e and u_t = x1 - x0. The velocity is the geodesic's own,
    log_xt(x1) / (1 - t) without the quotient of two small numbers.

    Parameters
    ----------
    x0, x1, noise
        (batch, d): points of the manifold, standard normal e.
    t
        (batch, 1), in [0, 1].

    Returns
    -------
    Each (batch, d).
    """
    return manifold.perturb(*manifold.path(x0, x1, t), noise, sigma)


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
