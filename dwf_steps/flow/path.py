"""The probability path between source and target, and how its times are drawn."""

import torch
from torch import Tensor

from dwf_steps.config.generators.flow import TimeDistribution
from dwf_steps.geometry.product import ProductManifold


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


def geodesic_path(
    manifold: ProductManifold, x0: Tensor, x1: Tensor, t: Tensor, noise: Tensor, sigma: float
) -> tuple[Tensor, Tensor]:
    """Return x_t = exp_x0(t log_x0 x1), moved by sigma e, and its velocity (Chen & Lipman 2024, Riemannian
    flow matching; Erdogan 2025, arXiv 2504.03710).

    The velocity is the geodesic's own, log_xt(x1) / (1 - t) without the quotient of two small numbers.

    Parameters
    ----------
    x0, x1, noise
        (batch, d): points of the manifold, standard normal e.
    t
        (batch, 1), in [0, 1].
    """
    x, velocity = manifold.path(x0, x1, t)
    if sigma:
        x = manifold.exp(x, manifold.tangent(x, noise * sigma))
        velocity = manifold.tangent(x, velocity)
    return x, velocity


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
