"""Log-densities of flows whose densities are known, in flat space and on spheres."""

import math

import pytest
import torch
from torch import Tensor, nn

from dwf_steps.config.generators.flow import Likelihood
from dwf_steps.flow.fields import VelocityField
from dwf_steps.flow.likelihood import log_density
from dwf_steps.flow.source import Source
from dwf_steps.geometry.product import ProductManifold, Spheres

EXACT = Likelihood(divergence="exact", steps=40)


class Gaussian(nn.Module):
    """The field of the linear path from N(0, source^2) to N(mean, C), C = A A', known in closed form: with
    S_t = (1-t)^2 source^2 + t^2 C it is mean + (t C - (1-t) source^2) S_t^-1 (x - t mean)."""

    def __init__(self, mean: Tensor, factor: Tensor, source: float) -> None:
        super().__init__()
        self.mean, self.covariance, self.source = mean, factor @ factor.T, source**2

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        time, own = t[0], self.source * torch.eye(len(self.mean)).to(x)
        spread = (1 - time) ** 2 * own + time**2 * self.covariance
        slope = torch.linalg.solve(spread, time * self.covariance - (1 - time) * own)
        return self.mean + (x - time * self.mean) @ slope


class GaussianEnds(Gaussian):
    """The same field, told by where paths end: x + (1 - t) v."""

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        return x + (1 - t) * super().forward(t, x)


def gaussian() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    draws = torch.Generator().manual_seed(0)
    mean, factor = (torch.randn(*shape, generator=draws).double() / 2 for shape in ((3,), (3, 3)))
    factor += torch.eye(3)
    x = mean + torch.randn(6, 3, generator=draws).double() @ factor.T
    truth = torch.distributions.MultivariateNormal(mean, factor @ factor.T).log_prob(x)
    return mean, factor, x, truth


@pytest.mark.parametrize("source", [1.0, 0.3])
def test_a_gaussian_flow_has_the_gaussians_density(source: float) -> None:
    mean, factor, x, truth = gaussian()
    field = VelocityField(Gaussian(mean, factor, source))
    torch.testing.assert_close(log_density(field, x, EXACT, Source(std=source)), truth, rtol=0, atol=1e-4)


def test_of_predicted_endpoints_too() -> None:
    mean, factor, x, truth = gaussian()
    field = VelocityField(GaussianEnds(mean, factor, 1.0), "endpoint")
    torch.testing.assert_close(log_density(field, x, EXACT), truth, rtol=0, atol=0.02)


def test_random_probes_estimate_the_exact_divergence() -> None:
    mean, factor, x, truth = gaussian()
    field = VelocityField(Gaussian(mean, factor, 1.0))
    one, many = (log_density(field, x, Likelihood(probes=probes, steps=40)) for probes in (1, 4000))
    assert (many - truth).abs().max() < 0.05
    assert (one - truth).abs().max() > 0.05


class Poles(nn.Module):
    """Constantly along the third axis of the first sphere, against it on the second; still elsewhere. Only
    its tangent part moves points: the height z over the radius has dz/dt = 1 - z^2, so that z = tanh(artanh
    z0 + t), and heights of the uniform source are uniform (Archimedes)."""

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        outputs = torch.zeros_like(x) * t
        outputs[:, 2], outputs[:, 5] = 3**0.5, -(3**0.5)
        return outputs


@pytest.mark.parametrize("divergence", ["exact", "hutchinson"])
def test_on_spheres_the_divergence_is_the_riemannian_one(divergence: str) -> None:
    manifold = ProductManifold([Spheres(0, 2, 3)])
    x = torch.randn(7, 8, generator=torch.Generator().manual_seed(0)).double()
    x = manifold.project(x)
    heights = torch.stack([x[:, 2], -x[:, 5]], dim=1) / 3**0.5
    before = torch.tanh(torch.atanh(heights) - 1)
    area = 4 * math.pi * 3
    flat = torch.distributions.Normal(0, 0.5).log_prob(x[:, 6:].double()).sum(1)
    truth = ((1 - before**2) / (1 - heights**2)).log().sum(1) - 2 * math.log(area) + flat
    config = Likelihood.model_validate({"divergence": divergence, "probes": 1000, "steps": 20})
    found = log_density(
        VelocityField(Poles(), manifold=manifold), x, config, Source(std=0.5, manifold=manifold)
    )
    torch.testing.assert_close(found, truth, rtol=0, atol=1e-5 if divergence == "exact" else 0.1)


def test_densities_on_spheres_integrate_to_one() -> None:
    manifold = ProductManifold([Spheres(0, 1, 2)])
    angles = torch.linspace(0, 2 * math.pi, 2001).double()[:-1]
    circle = 2**0.5 * torch.stack([angles.cos(), angles.sin()], dim=1)

    class Right(nn.Module):
        def forward(self, t: Tensor, x: Tensor) -> Tensor:
            return torch.tensor([1.0, 0.0]).to(x).expand_as(x) * (1 + t)

    field = VelocityField(Right(), manifold=manifold)
    density = log_density(field, circle, EXACT, Source(manifold=manifold)).exp()
    assert density.max() > 5 * density.min()
    assert density.mean() * 2 * math.pi * 2**0.5 == pytest.approx(1, abs=1e-4)


class Affine(nn.Module):
    """v = x B + c, which takes N(m, C) to N(m E + d, E'C E) with E = exp(B) and d = c (exp(B) - 1) B^-1."""

    def __init__(self, slope: Tensor, constant: Tensor) -> None:
        super().__init__()
        self.slope, self.constant = slope, constant

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        return x @ self.slope + self.constant + 0 * t


@pytest.mark.parametrize("std", [1.0, 0.3])
@pytest.mark.parametrize("kind", ["full", "diagonal"])
def test_a_source_with_a_covariance_of_its_own_is_carried_along(kind: str, std: float) -> None:
    draws = torch.Generator().manual_seed(3)
    mean, constant = (torch.randn(4, generator=draws).double() for _ in range(2))
    factor, slope = (torch.randn(4, 4, generator=draws).double() for _ in range(2))
    slope = slope / 4
    if kind == "diagonal":
        factor = factor.diagonal().clone()
    full = factor if kind == "full" else factor.diag()
    growth = torch.linalg.matrix_exp(slope)
    ends = mean @ growth + constant @ (growth - torch.eye(4)) @ slope.inverse()
    covariance = std**2 * growth.T @ full.T @ full @ growth
    x = ends + torch.randn(6, 4, generator=draws).double()
    truth = torch.distributions.MultivariateNormal(ends, covariance).log_prob(x)
    found = log_density(VelocityField(Affine(slope, constant)), x, EXACT, Source(mean, factor, std))
    torch.testing.assert_close(found, truth, rtol=1e-6, atol=1e-5)
