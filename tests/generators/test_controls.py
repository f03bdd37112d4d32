"""Controls draw from the distributions they are named after."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from bases import basis_of
from pydantic import TypeAdapter
from scipy import stats

from dwf_steps.architectures import build
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.generators import AnyGenerator, generator_kinds
from dwf_steps.config.generators.base import GeneratorConfig
from dwf_steps.generators.base import Generator, Tools, TrainingNetworks
from dwf_steps.generators.decoding import decode_block
from dwf_steps.generators.registry import implementation_of
from dwf_steps.generators.samples import Samples
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.matrix import Row, WeightMatrix
from dwf_steps.subspace.basis import Basis

N, HELD_OUT, D = 5, 2, 6
NETWORK = build(MLPConfig(widths=[4, 3, 5, 2]))


def rows_and_matrix(path: Path) -> tuple[np.ndarray, WeightMatrix]:
    """Return float64 training rows, and the matrix that holds them and two held-out rows."""
    draws = np.random.default_rng(0)
    rows = (2 + draws.normal(size=(N + HELD_OUT, D))).astype(np.float32)
    names = [Row(f"seed-{i}", held_out=i >= N) for i in range(N + HELD_OUT)]
    matrix = WeightMatrix.create(path, Layout.of({"weight": (D,)}), names, {})
    matrix.array[:] = rows
    return rows[:N].astype(np.float64), matrix


def small_networks(path: Path) -> WeightMatrix:
    """Return a matrix of multilayer perceptrons with as many rows, random ones, parameters by name in
    order."""
    shapes = {entry.name: entry.shape for entry in NETWORK.layout.entries}
    layout = Layout.of(dict(sorted(shapes.items())))
    names = [Row(f"seed-{i}", held_out=i >= N) for i in range(N + HELD_OUT)]
    matrix = WeightMatrix.create(path, layout, names, NETWORK.config.model_dump())
    matrix.array[:] = np.random.default_rng(0).normal(size=(N + HELD_OUT, layout.size)).astype(np.float32)
    return matrix


def control(kind: str, samples: int = 50, seed: int = 0, **settings: float) -> GeneratorConfig:
    sampling = {"samples": samples, "seed": seed}
    return TypeAdapter(AnyGenerator).validate_python({"kind": kind, "sampling": sampling, **settings})


def drawn(config: GeneratorConfig, basis: Basis, matrix: WeightMatrix | None = None) -> Samples:
    weights = matrix.path if matrix else None
    return implementation_of(config, Generator).sample(TrainingNetworks(basis, weights), Tools())


def decoded(samples: Samples, matrix: WeightMatrix) -> np.ndarray:
    return decode_block(samples, matrix, slice(0, D)).astype(np.float64)


def test_gaussian_latents_have_the_training_coordinates_mean_and_covariance(tmp_path: Path) -> None:
    rows, _ = rows_and_matrix(tmp_path / "weights.zarr")
    basis = basis_of(rows, components=3)
    latents = drawn(control("gaussian", samples=200_000), basis).latents
    assert latents.shape == (200_000, 3)
    scale = np.sqrt(basis.variances)
    np.testing.assert_allclose(latents.mean(axis=0) / scale, 0, atol=0.02)
    np.testing.assert_allclose(np.cov(latents.T) / np.outer(scale, scale), np.eye(3), atol=0.02)
    assert all(stats.kstest(z / s, "norm").pvalue > 1e-3 for z, s in zip(latents.T, scale, strict=True))


@pytest.mark.parametrize("components", [None, N - 1])
def test_gaussian_networks_have_the_training_networks_mean_and_covariance(
    tmp_path: Path, components: int | None
) -> None:
    rows, matrix = rows_and_matrix(tmp_path / "weights.zarr")
    samples = drawn(control("gaussian", samples=200_000), basis_of(rows, components))
    networks = decoded(samples, matrix)
    spread = rows.std(axis=0, ddof=1)
    np.testing.assert_allclose((networks.mean(axis=0) - rows.mean(axis=0)) / spread, 0, atol=0.02)
    scale = np.outer(spread, spread)
    np.testing.assert_allclose(np.cov(networks.T) / scale, np.cov(rows.T) / scale, atol=0.03)


def test_gaussian_networks_lie_in_the_subspace(tmp_path: Path) -> None:
    rows, matrix = rows_and_matrix(tmp_path / "weights.zarr")
    networks = decoded(drawn(control("gaussian"), basis_of(rows, components=2)), matrix)
    centred = rows - rows.mean(axis=0)
    directions = np.linalg.svd(centred)[2][:2]
    outside = (networks - rows.mean(axis=0)) @ (np.eye(D) - directions.T @ directions)
    np.testing.assert_allclose(outside, 0, atol=1e-5)


@pytest.mark.parametrize("components", [None, 2])
@pytest.mark.parametrize("weight", [0.0, 0.1, 0.5, 1.0])
def test_interpolation_mixes_two_different_training_networks(
    tmp_path: Path, weight: float, components: int | None
) -> None:
    rows, matrix = rows_and_matrix(tmp_path / "weights.zarr")
    samples = drawn(control("interpolation", 300, weight=weight), basis_of(rows, components))
    pairs = list(permutations(range(N), 2))
    mixtures = np.stack([(1 - weight) * rows[a] + weight * rows[b] for a, b in pairs])
    networks = decoded(samples, matrix)
    differences = np.abs(networks[:, None] - mixtures[None]).max(axis=2)
    assert differences.min(axis=1).max() < 1e-6
    if weight not in (0.0, 0.5, 1.0):
        assert set(differences.argmin(axis=1)) == set(range(len(pairs)))


def test_interpolation_draws_every_pair_equally_often(tmp_path: Path) -> None:
    rows, _ = rows_and_matrix(tmp_path / "weights.zarr")
    samples = drawn(control("interpolation", 20_000, weight=0.25), basis_of(rows, 2))
    first, second = samples.coefficients.argmax(axis=1), np.where(samples.coefficients == 0.25)[1]
    _, counts = np.unique(N * first + second, return_counts=True)
    assert len(counts) == N * (N - 1)
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("components", [None, 2])
def test_noise_surrounds_training_networks_with_its_standard_deviation(
    tmp_path: Path, components: int | None
) -> None:
    rows, matrix = rows_and_matrix(tmp_path / "weights.zarr")
    samples = drawn(control("noise", 40_000, std=0.05), basis_of(rows, components))
    chosen = samples.coefficients.argmax(axis=1)
    noise = decoded(samples, matrix) - rows[chosen]
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.05 * 0.02)
    np.testing.assert_allclose(np.cov(noise.T), 0.05**2 * np.eye(D), atol=0.05**2 * 0.03)
    assert stats.kstest(noise.ravel()[::5] / 0.05, "norm").pvalue > 1e-3
    assert stats.chisquare(np.bincount(chosen, minlength=N)).pvalue > 1e-3


def test_no_noise_returns_training_networks(tmp_path: Path) -> None:
    rows, matrix = rows_and_matrix(tmp_path / "weights.zarr")
    samples = drawn(control("noise", std=0.0), basis_of(rows, components=2))
    chosen = samples.coefficients.argmax(axis=1)
    np.testing.assert_allclose(decoded(samples, matrix), rows[chosen], rtol=1e-6)


@pytest.mark.parametrize("kind", ["gaussian", "noise", "interpolation"])
def test_samples_repeat_with_their_seed_and_change_with_another(tmp_path: Path, kind: str) -> None:
    rows, matrix = rows_and_matrix(tmp_path / "weights.zarr")
    basis = basis_of(rows, components=3)
    first, again, other = (decoded(drawn(control(kind, seed=seed), basis), matrix) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any(axis=1).mean() > 0.5


@pytest.mark.parametrize("kind", ["gaussian", "noise", "interpolation"])
@pytest.mark.parametrize("samples", [1, 3, 1000])
def test_as_many_networks_are_drawn_as_asked_for(tmp_path: Path, kind: str, samples: int) -> None:
    rows, matrix = rows_and_matrix(tmp_path / "weights.zarr")
    found = drawn(control(kind, samples), basis_of(rows, components=3))
    assert found.latents.shape == (samples, 3)
    assert found.coefficients.shape == (samples, N)
    assert np.isfinite(decoded(found, matrix)).all()


@pytest.mark.parametrize("kind", ["gaussian", "noise"])
def test_more_samples_begin_with_the_same_ones(tmp_path: Path, kind: str) -> None:
    rows, matrix = rows_and_matrix(tmp_path / "weights.zarr")
    basis = basis_of(rows, components=3)
    few, many = (decoded(drawn(control(kind, n), basis), matrix) for n in (10, 30))
    np.testing.assert_allclose(many[:10], few, rtol=1e-6)


@pytest.mark.parametrize("kind", ["gaussian", "noise", "interpolation"])
def test_held_out_networks_are_never_drawn_on(tmp_path: Path, kind: str) -> None:
    rows, matrix = rows_and_matrix(tmp_path / "weights.zarr")
    samples = drawn(control(kind), basis_of(rows, components=3))
    before = decoded(samples, matrix)
    matrix.array[N:] = 1e6
    np.testing.assert_array_equal(decoded(samples, matrix), before)


def test_the_scale_of_a_gaussian_multiplies_its_deviations_from_the_mean(tmp_path: Path) -> None:
    rows, _ = rows_and_matrix(tmp_path / "weights.zarr")
    basis = basis_of(rows, components=3)
    whole, half, none = (drawn(control("gaussian", scale=scale), basis).latents for scale in (1.0, 0.5, 0.0))
    np.testing.assert_allclose(half, whole / 2)
    np.testing.assert_array_equal(none, 0)


@pytest.mark.parametrize("bandwidth", [None, 0.3])
def test_a_kernel_density_is_scipys(tmp_path: Path, bandwidth: float | None) -> None:
    rows, _ = rows_and_matrix(tmp_path / "weights.zarr")
    basis = basis_of(rows, components=2)
    theirs = stats.gaussian_kde(basis.coordinates.T, bandwidth)
    settings = {} if bandwidth is None else {"bandwidth": bandwidth}
    latents = drawn(control("kernel_density", samples=100_000, **settings), basis).latents
    expected = np.cov(basis.coordinates.T) * (N - 1) / N + theirs.covariance
    scale = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(
        np.cov(latents.T) / np.outer(scale, scale), expected / np.outer(scale, scale), atol=0.02
    )
    np.testing.assert_allclose(latents.mean(axis=0) / scale, 0, atol=0.02)
    grid = np.linspace(-2, 2, 9) * scale[0]
    ours = [(latents[:, 0] <= x).mean() for x in grid]
    exact = [theirs.integrate_box([-np.inf, -np.inf], [x, np.inf]) for x in grid]
    np.testing.assert_allclose(ours, exact, atol=0.01)


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_every_weight_of_a_parameter_gaussian_has_its_own_mean_and_spread(
    tmp_path: Path, scale: float
) -> None:
    rows, matrix = rows_and_matrix(tmp_path / "weights.zarr")
    samples = drawn(control("parameter_gaussian", samples=20_000, scale=scale), basis_of(rows, 3))
    networks = decoded(samples, matrix)
    spread = scale * rows.std(axis=0, ddof=1)
    np.testing.assert_allclose((networks.mean(axis=0) - rows.mean(axis=0)) / spread, 0, atol=0.03)
    np.testing.assert_allclose(np.cov(networks.T) / np.outer(spread, spread), np.eye(D), atol=0.03)


def test_a_soup_is_the_mean_of_different_training_networks(tmp_path: Path) -> None:
    rows, matrix = rows_and_matrix(tmp_path / "weights.zarr")
    samples = drawn(control("soup", networks=3), basis_of(rows, 2))
    assert set(np.unique(samples.coefficients)) == {0, 1 / 3}
    assert ((samples.coefficients > 0).sum(axis=1) == 3).all()
    assert len(np.unique(samples.coefficients, axis=0)) > 5
    np.testing.assert_allclose(decoded(samples, matrix), samples.coefficients @ rows, rtol=1e-5)


def test_copies_are_training_networks_none_twice_before_all_were_drawn(tmp_path: Path) -> None:
    rows, matrix = rows_and_matrix(tmp_path / "weights.zarr")
    networks = decoded(drawn(control("copy", samples=2 * N + 1), basis_of(rows, 2)), matrix)
    which = [int(np.abs(rows - network).sum(axis=1).argmin()) for network in networks]
    np.testing.assert_allclose(networks, rows[which], rtol=1e-5, atol=1e-6)
    assert sorted(which[:N]) == sorted(which[N : 2 * N]) == list(range(N))


@pytest.mark.parametrize("components", [None, 3])
def test_held_out_networks_are_decoded_as_they_are(tmp_path: Path, components: int | None) -> None:
    _, matrix = rows_and_matrix(tmp_path / "weights.zarr")
    every = matrix.read().astype(np.float64)
    basis = basis_of(every, components, HELD_OUT)
    samples = drawn(control("held_out", samples=HELD_OUT), basis)
    np.testing.assert_allclose(decoded(samples, matrix), every[N:], rtol=1e-5, atol=1e-6)


SEEING = [
    kind
    for kind, settings in generator_kinds().items()
    if settings.control and settings.makes == "samples" and kind != "held_out"
]


@pytest.mark.parametrize("kind", SEEING)
def test_no_other_control_sees_a_held_out_network(tmp_path: Path, kind: str) -> None:
    matrix = small_networks(tmp_path / "weights.zarr")
    every, settings = matrix.read().astype(np.float64), {"networks": 3} if kind == "soup" else {}
    found = []
    for held_out in (every[N:], 100 - every[N:]):
        matrix.array[N:] = held_out
        basis = basis_of(np.vstack([every[:N], held_out]), 3, HELD_OUT)
        samples = drawn(control(kind, **settings), basis, matrix)
        found.append(decode_block(samples, matrix, slice(0, matrix.layout.size)))
    np.testing.assert_array_equal(*found)
