"""Sources know what they draw, and its density; that of untrained networks has their mean and covariance."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from bases import basis_of
from scipy.stats import multivariate_normal

from dwf_steps.architectures import build
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.generators.flow import FlowConfig
from dwf_steps.flow.source import PairedSource, Source
from dwf_steps.generators.flow import source_of
from dwf_steps.generators.latents import Latents
from dwf_steps.geometry.product import ProductManifold, Spheres
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.matrix import Row, WeightMatrix

N, WIDTHS = 7, [5, 4, 3]
KAIMING = FlowConfig(kind="flow", source="kaiming")


def zoo(path: Path) -> tuple[np.ndarray, WeightMatrix]:
    architecture = build(MLPConfig(widths=WIDTHS))
    rows = [Row(f"seed-{i}") for i in range(N)]
    shapes = {entry.name: entry.shape for entry in architecture.layout.entries}
    layout = Layout.of(dict(sorted(shapes.items())))  # as files have it: biases first
    matrix = WeightMatrix.create(path, layout, rows, architecture.config.model_dump())
    matrix.array[:] = np.random.default_rng(0).normal(1, 2, size=matrix.array.shape)
    return matrix.read().astype(np.float64), matrix


def untrained(n: int) -> np.ndarray:
    """Draw networks of normal weights of variance 2/fan_in and no biases, layer by layer, biases first."""
    draws, parts = np.random.default_rng(1), []
    for fan_in, fan_out in pairwise(WIDTHS):
        parts += [np.zeros((n, fan_out)), draws.normal(0, (2 / fan_in) ** 0.5, (n, fan_in * fan_out))]
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize(("components", "by_unit"), [(4, False), (None, False), (None, True)])
def test_untrained_networks_seen_as_latents_are_distributed_like_the_source(
    tmp_path: Path, components: int | None, by_unit: bool
) -> None:
    rows, matrix = zoo(tmp_path / "weights.zarr")
    basis = basis_of(rows, components)
    latents = Latents.of(basis, matrix, by_unit)
    source = source_of(KAIMING, basis, matrix, latents)
    centred = rows - rows.mean(axis=0)
    seen = untrained(200_000) - rows.mean(axis=0)
    if components is not None:
        seen = seen @ (basis.decoder @ centred).T
    seen = (seen - latents.shift.numpy()) / latents.scale.numpy()
    noise = torch.randn(200_000, seen.shape[1], generator=torch.Generator().manual_seed(0))
    drawn = source.at(noise).numpy()
    spread = seen.std(axis=0)
    np.testing.assert_allclose(drawn.mean(axis=0), seen.mean(axis=0), atol=0.02 * max(spread))
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(seen.T), atol=0.02 * max(spread) ** 2)


def test_the_standard_source_is_the_noise_itself(tmp_path: Path) -> None:
    rows, matrix = zoo(tmp_path / "weights.zarr")
    basis = basis_of(rows, 3)
    config = FlowConfig(kind="flow", source_std=0.5)
    source = source_of(config, basis, matrix, Latents.of(basis, matrix))
    noise = torch.randn(5, 3, generator=torch.Generator().manual_seed(2))
    assert torch.equal(source.at(noise), noise)
    drawn = source.draw(5, 3, torch.Generator().manual_seed(2), temperature=0.2)
    assert torch.equal(drawn, noise * (0.5 * 0.2))


FACTORS = {
    "number": torch.tensor(-1.5),
    "diagonal": torch.tensor([0.5, -2.0, 1.0]),
    "matrix": torch.tensor([[1.0, 2.0, 0.5], [0.0, 0.3, -1.0], [0.7, 0.0, 2.0]]),
}


@pytest.mark.parametrize("kind", FACTORS)
@pytest.mark.parametrize("std", [1.0, 0.2])
def test_densities_are_those_of_the_gaussian_that_is_drawn(kind: str, std: float) -> None:
    mean, factor = torch.tensor([1.0, -2.0, 0.5]), FACTORS[kind]
    full = (factor if factor.dim() == 2 else factor.expand(3).diag()).double()
    covariance = std**2 * (full.T @ full).numpy()
    source = Source(mean, factor, std)
    drawn = source.draw(200_000, 3, torch.Generator().manual_seed(0)).numpy()
    np.testing.assert_allclose(drawn.mean(axis=0), mean.numpy(), atol=0.02 * std)
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.02 * np.abs(covariance).max())
    x = torch.randn(7, 3, generator=torch.Generator().manual_seed(1)).double()
    expected = multivariate_normal(mean.numpy(), covariance).logpdf(x.numpy())
    np.testing.assert_allclose(source.log_density(x).numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize("std", [1.0, 0.3])
def test_the_density_of_untrained_networks_is_that_of_their_projected_weights(
    tmp_path: Path, std: float
) -> None:
    rows, matrix = zoo(tmp_path / "weights.zarr")
    basis = basis_of(rows, 4)
    latents = Latents.of(basis, matrix)
    config = FlowConfig(kind="flow", source="kaiming", source_std=std)
    source = source_of(config, basis, matrix, latents)
    components = basis.decoder @ (rows - rows.mean(axis=0)) / float(latents.scale)
    variances = []
    for fan_in, fan_out in pairwise(WIDTHS):
        variances += [0.0] * fan_out + [2 / fan_in] * (fan_in * fan_out)  # biases first
    covariance = std**2 * components @ np.diag(variances) @ components.T
    truth = multivariate_normal(-components @ rows.mean(axis=0), covariance)
    x = truth.rvs(6, random_state=np.random.default_rng(3))
    found = source.log_density(torch.from_numpy(x))
    np.testing.assert_allclose(found.numpy(), truth.logpdf(x), rtol=1e-4, atol=1e-4)


def test_a_source_within_fewer_dimensions_has_no_density(tmp_path: Path) -> None:
    rows, matrix = zoo(tmp_path / "weights.zarr")
    basis = basis_of(rows, None)  # all biases of untrained networks are zero
    source = source_of(KAIMING, basis, matrix, Latents.of(basis, matrix))
    d, biases = matrix.layout.size, sum(WIDTHS[1:])
    with pytest.raises(InputError, match=f"vary in only {d - biases} of {d} directions.*fewer components"):
        source.log_density(torch.zeros(1, d))
    flat = torch.tensor([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.0, 1.0, 1.0]])
    with pytest.raises(InputError, match="vary in only 2 of 3 directions"):
        Source(torch.zeros(3), flat).log_density(torch.zeros(1, 3))


def test_the_source_is_normal_and_uniform_on_spheres() -> None:
    manifold = ProductManifold([Spheres(1, 1, 2)])
    x = torch.tensor([[0.6, 2**0.5, 0.0]]).double()
    normal = torch.distributions.Normal(0, 0.3).log_prob(x[:, 0])
    source = Source(std=0.3, manifold=manifold)
    torch.testing.assert_close(source.log_density(x), normal - math.log(2 * math.pi * 2**0.5))
    drawn = source.draw(2000, 3, torch.Generator().manual_seed(0))
    torch.testing.assert_close(manifold.project(drawn), drawn)
    assert drawn[:, 0].std().item() == pytest.approx(0.3, rel=0.1)


def test_only_coordinates_that_are_alike_start_on_spheres() -> None:
    with pytest.raises(ValueError, match="needs flat space; found a manifold with spheres"):
        Source(torch.zeros(3), manifold=ProductManifold([Spheres(1, 1, 2)]))


def test_a_paired_source_returns_every_targets_own_start_at_its_temperature() -> None:
    starts = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    mean, partners = starts.mean(dim=0), torch.tensor([4, 0, 4, 5])
    draws = torch.Generator().manual_seed(1)
    source = PairedSource(mean=mean, std=0.5, starts=starts)
    torch.testing.assert_close(
        PairedSource(mean=mean, starts=starts).draw(4, 3, draws, partners=partners), starts[partners]
    )
    expected = mean + 0.5 * 0.2 * (starts[partners] - mean)
    torch.testing.assert_close(source.draw(4, 3, draws, temperature=0.2, partners=partners), expected)


def test_a_paired_source_must_know_whose_starts_are_asked_for_and_has_no_density() -> None:
    source = PairedSource(mean=torch.zeros(3), starts=torch.zeros(6, 3))
    with pytest.raises(ValueError, match=r"\(6, 3\) starts; asked for 4 of dimension 3"):
        source.draw(4, 3, torch.Generator())
    with pytest.raises(InputError, match="without a density; use 'standard'"):
        source.log_density(torch.zeros(2, 3))
