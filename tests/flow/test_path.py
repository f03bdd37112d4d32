"""The probability path follows its formula, its times their distribution."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from dwf_steps.config.generators.flow import TimeDistribution
from dwf_steps.flow.path import draw_times, probability_path
from dwf_steps.geometry.euclidean import EUCLIDEAN

SHAPES = [(1, 1), (5, 3), (64, 17)]


def random_points(shape: tuple[int, int], dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    draws = torch.Generator().manual_seed(0)
    x0, x1, noise = (torch.randn(shape, generator=draws, dtype=dtype) for _ in range(3))
    return x0, x1, noise, torch.rand(shape[0], 1, generator=draws, dtype=dtype)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sigma", [0.0, 0.3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_path_is_a_line_with_noise(shape: tuple[int, int], sigma: float, dtype: torch.dtype) -> None:
    x0, x1, noise, t = random_points(shape, dtype)
    a, b, e, s = (value.numpy().astype(np.float64) for value in (x0, x1, noise, t))
    found, _ = probability_path(EUCLIDEAN, x0, x1, t, noise, sigma)
    tolerance = 1e-6 if dtype == torch.float32 else 1e-14
    assert found.dtype == dtype
    np.testing.assert_allclose(found.numpy(), (1 - s) * a + s * b + sigma * e, rtol=0, atol=10 * tolerance)


def test_the_path_runs_from_source_to_target() -> None:
    x0, x1, noise, _ = random_points((6, 4), torch.float64)
    assert torch.equal(probability_path(EUCLIDEAN, x0, x1, torch.zeros(6, 1).double(), noise, 0.0)[0], x0)
    assert torch.equal(probability_path(EUCLIDEAN, x0, x1, torch.ones(6, 1).double(), noise, 0.0)[0], x1)


def test_the_path_leaves_its_input_alone() -> None:
    points = random_points((6, 4), torch.float64)
    copies = [value.clone() for value in points]
    x0, x1, noise, t = points
    probability_path(EUCLIDEAN, x0, x1, t, noise, 0.5)
    assert all(torch.equal(value, copy) for value, copy in zip(points, copies, strict=True))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_velocity_is_the_paths_derivative(shape: tuple[int, int]) -> None:
    x0, x1, noise, t = random_points(shape, torch.float64)
    step = 1e-3
    before, after = (probability_path(EUCLIDEAN, x0, x1, t + h, noise, 0.3)[0] for h in (-step, step))
    _, velocity = probability_path(EUCLIDEAN, x0, x1, t, noise, 0.3)
    torch.testing.assert_close(velocity, (after - before) / (2 * step), rtol=1e-9, atol=1e-9)
    assert torch.equal(velocity, x1 - x0)


@pytest.mark.parametrize(("a", "b"), [(1.0, 2.0), (2.0, 5.0), (0.5, 0.5), (1.5, 1.0)])
def test_beta_times_follow_the_beta_distribution(a: float, b: float) -> None:
    config = TimeDistribution(distribution="beta", a=a, b=b)
    times = draw_times(20_000, config, torch.Generator().manual_seed(1))
    assert times.shape == (20_000, 1)
    assert times.dtype == torch.float32
    assert 0 <= times.min() <= times.max() <= 1
    values = times.double().numpy().ravel()
    assert stats.kstest(values, stats.beta(a, b).cdf).pvalue > 1e-3
    assert values.mean() == pytest.approx(a / (a + b), abs=0.01)
    assert values.var() == pytest.approx(a * b / ((a + b) ** 2 * (a + b + 1)), rel=0.05)


def test_uniform_times_are_uniform_whatever_a_and_b() -> None:
    config = TimeDistribution(distribution="uniform", a=3.0, b=0.5)
    times = draw_times(20_000, config, torch.Generator().manual_seed(2))
    assert times.shape == (20_000, 1)
    assert stats.kstest(times.double().numpy().ravel(), stats.uniform().cdf).pvalue > 1e-3


@pytest.mark.parametrize("distribution", ["uniform", "beta"])
def test_times_depend_on_their_generator_alone(distribution: str) -> None:
    config = TimeDistribution.model_validate({"distribution": distribution})
    first, again, other = (draw_times(8, config, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
