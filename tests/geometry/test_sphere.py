"""Spheres and their products against closed forms, at poles and antipodes too."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from dwf_steps.geometry import sphere
from dwf_steps.geometry.product import ProductManifold, Spheres

MANIFOLD = ProductManifold([Spheres(1, 3, 4), Spheres(15, 1, 6)])
D, N = 24, 7
SPHERES = [slice(1, 5), slice(5, 9), slice(9, 13), slice(15, 21)]
FLAT = [0, 13, 14, 21, 22, 23]


def points(seed: int = 0, n: int = N, dtype: torch.dtype = torch.float64) -> Tensor:
    draws = torch.Generator().manual_seed(seed)
    return MANIFOLD.uniform(torch.randn(n, D, generator=draws, dtype=dtype))


def vectors(x: Tensor, seed: int = 5, size: float = 0.3) -> Tensor:
    draws = torch.Generator().manual_seed(seed)
    return MANIFOLD.tangent(x, size * torch.randn(x.shape, generator=draws, dtype=x.dtype))


def test_a_geodesic_of_the_circle_is_a_rotation() -> None:
    x = torch.tensor([1.0, 0.0], dtype=torch.float64)
    for turn in (0.1, 1.0, 3.0, 5.0):
        y = sphere.exp(x, torch.tensor([0.0, turn], dtype=torch.float64))
        torch.testing.assert_close(y, torch.tensor([math.cos(turn), math.sin(turn)], dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("distance", [1e-6, 1e-3, 1.0, 3.0, math.pi - 1e-3])
def test_log_inverts_exp_at_any_distance(distance: float, dtype: torch.dtype) -> None:
    x = sphere.project(torch.randn(50, 9, dtype=dtype))
    v = sphere.tangent(x, torch.randn(50, 9, dtype=dtype))
    v = distance * v / v.norm(dim=1, keepdim=True)
    y = sphere.exp(x, v)
    rounding = 1e-12 if dtype == torch.float64 else 1e-6
    found = sphere.angle(x, y)
    np.testing.assert_allclose(found, distance, rtol=1e-3 if distance < 1e-5 else 1e-4, atol=rounding)
    # Where the points are almost opposite a rounding of theirs turns the direction.
    torch.testing.assert_close(sphere.log(x, y), v, rtol=1e-3, atol=max(rounding, distance * rounding * 3e3))


def test_opposite_and_equal_points() -> None:
    draws = torch.Generator().manual_seed(0)  # many points, since few have a norm that rounding spoils
    some = [torch.randn(20_000, k, generator=draws, dtype=torch.float64) for k in (2, 4, 50)]
    for x in (torch.eye(4, dtype=torch.float64), *map(sphere.project, some)):
        v, zeros = sphere.log(x, -x), torch.zeros(len(x), dtype=torch.float64)
        torch.testing.assert_close(v.norm(dim=1), zeros + math.pi)
        torch.testing.assert_close((v * x).sum(1), zeros, atol=1e-12, rtol=0)
        torch.testing.assert_close(sphere.exp(x, v), -x, atol=1e-12, rtol=0)
        assert (sphere.log(x, x).norm(dim=1) < 1e-12).all()
    assert sphere.project(torch.zeros(2, 3)).tolist() == [[1, 0, 0]] * 2
    two = torch.tensor([[1.0], [-1.0]])  # a sphere of two points has no way from one to the other
    assert sphere.log(two, -two).tolist() == [[0.0], [0.0]] and sphere.exp(two, two * 0).equal(two)


def test_gradients_are_finite_where_points_meet() -> None:
    x = sphere.project(torch.randn(3, 5)).requires_grad_()
    sphere.log(x, x.detach()).sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()


def test_a_product_is_each_of_its_parts() -> None:
    x, y, t = points(0), points(1), torch.rand(N, 1, dtype=torch.float64)
    between, v = MANIFOLD.geodesic(x, y, t), MANIFOLD.log(x, y)
    for columns in SPHERES:
        radius = math.sqrt(columns.stop - columns.start)
        a, b = x[:, columns] / radius, y[:, columns] / radius
        torch.testing.assert_close(a.norm(dim=1), torch.ones(N, dtype=torch.float64))
        torch.testing.assert_close(v[:, columns], radius * sphere.log(a, b))
        torch.testing.assert_close(between[:, columns], radius * sphere.exp(a, t * sphere.log(a, b)))
    torch.testing.assert_close(between[:, FLAT], torch.lerp(x[:, FLAT], y[:, FLAT], t))
    assert MANIFOLD.euclidean(D).nonzero().flatten().tolist() == FLAT


def test_distances() -> None:
    x, y = points(0), points(1, 4)
    every = MANIFOLD.squared_distances(x, y)
    for i in range(N):
        for j in range(4):
            own = torch.linalg.norm(x[i, FLAT] - y[j, FLAT]).item() ** 2
            for columns in SPHERES:
                size = columns.stop - columns.start
                own += size * math.acos((x[i, columns] @ y[j, columns]).item() / size) ** 2
            assert every[i, j] == pytest.approx(own)
    torch.testing.assert_close(MANIFOLD.distance(x[:4], y), every.diagonal().sqrt())


def test_exp_and_log_invert_each_other_and_stay_on_the_manifold() -> None:
    x = points()
    v = vectors(x)
    y = MANIFOLD.exp(x, v)
    torch.testing.assert_close(MANIFOLD.project(y), y)
    torch.testing.assert_close(MANIFOLD.log(x, y), v)
    torch.testing.assert_close(MANIFOLD.tangent(x, v), v)
    torch.testing.assert_close(MANIFOLD.geodesic(x, y, torch.ones(N, 1, dtype=torch.float64)), y)
    torch.testing.assert_close(MANIFOLD.geodesic(x, y, torch.zeros(N, 1, dtype=torch.float64)), x)


@pytest.mark.parametrize("size", [0.0, 1e-7, 1e-3, 0.03, 0.5, 1.0])
@pytest.mark.parametrize("opposite", [False, True])
def test_paths_are_those_of_log_and_exp_near_equal_and_opposite_points_too(
    size: float, opposite: bool
) -> None:
    x, t = points(), torch.rand(N, 1, dtype=torch.float64)
    y = MANIFOLD.exp(x, vectors(x, size=size))
    if opposite:
        y = torch.where(MANIFOLD.euclidean(D), y, -y)
    found, velocity = MANIFOLD.path(x, y, t)
    displacement = MANIFOLD.log(x, y)
    torch.testing.assert_close(found, MANIFOLD.exp(x, t * displacement), rtol=1e-9, atol=1e-9)
    h = 1e-6
    derivative = (MANIFOLD.exp(x, (t + h) * displacement) - MANIFOLD.exp(x, (t - h) * displacement)) / (2 * h)
    torch.testing.assert_close(velocity, derivative, rtol=1e-5, atol=1e-7)
    assert found.isfinite().all() and velocity.isfinite().all()


def test_a_geodesic_has_constant_speed() -> None:
    x, y = points(0), points(1)
    times = torch.linspace(0, 1, 11, dtype=torch.float64)
    path = [MANIFOLD.geodesic(x, y, t.expand(N, 1)) for t in times]
    whole = MANIFOLD.distance(x, y)
    for before, after in pairwise(path):
        torch.testing.assert_close(MANIFOLD.distance(before, after), whole / 10)


def test_uniform_points_have_no_direction() -> None:
    x = points(n=20_000)
    for columns in SPHERES:
        assert x[:, columns].mean(0).abs().max() < 0.03
        covariance = x[:, columns].T @ x[:, columns] / len(x)
        size = columns.stop - columns.start
        torch.testing.assert_close(covariance, torch.eye(size, dtype=torch.float64), atol=0.04, rtol=0)
