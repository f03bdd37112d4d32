"""Raw and reduced subspaces answer the same questions, each recomputed from the weights themselves."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from bases import basis_of
from scipy.spatial.distance import cdist

from dwf_steps.generators.decoding import decode_block
from dwf_steps.generators.samples import Samples
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.matrix import Row, WeightMatrix
from dwf_steps.subspace.basis import Basis, RawBasis, ReducedBasis

N, HELD_OUT, D, K = 7, 3, 12, 4
CPU = torch.device("cpu")


@dataclass
class Setting:
    basis: Basis
    matrix: WeightMatrix
    centred: np.ndarray
    directions: np.ndarray
    """Of coordinates, (c, d)."""


@pytest.fixture(params=["reduced", "raw"])
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> Setting:
    names = [Row(f"seed-{i}", held_out=i >= N) for i in range(N + HELD_OUT)]
    matrix = WeightMatrix.create(tmp_path / "weights.zarr", Layout.of({"weight": (D,)}), names, {})
    matrix.array[:] = np.random.default_rng(0).normal(3, 2, size=matrix.array.shape)
    rows = matrix.read().astype(np.float64)
    centred = rows - rows[:N].mean(axis=0)
    basis = basis_of(rows, K if request.param == "reduced" else None, HELD_OUT)
    basis.save(tmp_path / "basis.npz")
    basis = Basis.load(tmp_path / "basis.npz")
    assert isinstance(basis, ReducedBasis if request.param == "reduced" else RawBasis)
    directions = basis.decoder @ centred[:N] if request.param == "reduced" else np.eye(D)
    return Setting(basis, matrix, centred, directions)


def test_networks_have_coordinates_along_the_directions(setting: Setting) -> None:
    rows = np.array([0, N - 1, N, N + HELD_OUT - 1])
    found = setting.basis.coordinates_of(setting.matrix, rows)
    np.testing.assert_allclose(found, setting.centred[rows] @ setting.directions.T, rtol=1e-6, atol=1e-6)
    training = setting.basis.coordinates_of(setting.matrix, slice(N))
    np.testing.assert_allclose(training, setting.centred[:N] @ setting.directions.T, rtol=1e-6, atol=1e-6)


def test_coordinates_become_the_same_networks_by_tensors_and_by_samples(setting: Setting) -> None:
    coordinates = np.random.default_rng(1).normal(size=(5, len(setting.directions)))
    expected = setting.matrix.read()[:N].mean(axis=0) + coordinates @ setting.directions
    decode = setting.basis.network_decoder(setting.matrix, CPU)
    points = torch.from_numpy(coordinates).float().requires_grad_()
    np.testing.assert_allclose(decode(points).numpy(force=True), expected, rtol=1e-4, atol=1e-4)
    (gradient,) = torch.autograd.grad(decode(points).sum(), points)
    np.testing.assert_allclose(gradient[0], setting.directions.sum(axis=1), rtol=1e-4, atol=1e-4)
    samples = Samples(*setting.basis.sample_parts(coordinates))
    found = decode_block(samples, setting.matrix, slice(0, D))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    again = setting.basis.sample_coordinates(samples.latents, samples.offsets)
    np.testing.assert_allclose(again, coordinates, rtol=1e-6)


def test_points_are_mixtures_and_decode_to_them(setting: Setting) -> None:
    mixing = np.random.default_rng(2).dirichlet(np.ones(N), size=5)
    points = setting.basis.points(mixing)
    assert points.shape == (5, setting.basis.dimension)
    decoded = setting.basis.coefficients(points) @ setting.centred[:N]
    projection = setting.directions.T @ setting.directions
    np.testing.assert_allclose(decoded, mixing @ setting.centred[:N] @ projection, rtol=1e-8, atol=1e-8)


def test_independent_weights_have_the_gaussian_of_their_directions(setting: Setting) -> None:
    std = np.linspace(0, 2, D)
    mean, factor = setting.basis.gaussian_of_weights(setting.matrix, std)
    full = factor if factor.ndim == 2 else np.diag(factor)
    centre = setting.matrix.read()[:N].mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(mean, -setting.directions @ centre, rtol=1e-6, atol=1e-6)
    expected = setting.directions @ np.diag(std**2) @ setting.directions.T
    np.testing.assert_allclose(full.T @ full, expected, rtol=1e-6, atol=1e-6)


@dataclass
class Generated:
    """Generated networks, their centred ``rows`` beside the ``training`` ones'."""

    rows: np.ndarray
    training: np.ndarray

    @property
    def distances_to_training(self) -> np.ndarray:
        return cdist(self.rows, self.training)

    def coordinates(self, decoder: np.ndarray) -> np.ndarray:
        return self.rows @ self.training.T @ decoder.T


def test_distances_are_those_along_the_directions(setting: Setting) -> None:
    generated = Generated(np.random.default_rng(3).normal(size=(5, D)), setting.centred[:N])
    along = setting.centred @ setting.directions.T
    found = setting.basis.distances_to_training(generated)
    expected = cdist(generated.rows @ setting.directions.T, along[:N])
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)

    trajectories = np.array([0, 0, 1, 2, 2, 2, 3])

    def nearest(rows: np.ndarray) -> tuple[float, float]:
        others = [
            min(np.linalg.norm(rows[i] - rows[j]) for j in range(N) if trajectories[j] != trajectories[i])
            for i in range(N)
        ]
        return float(np.mean(others)), float(cdist(rows[N:], rows[:N]).min(axis=1).mean())

    between_weights = nearest(setting.centred)
    found_nearest = setting.basis.nearest_distances(trajectories, between_weights)
    np.testing.assert_allclose(found_nearest, nearest(along), rtol=1e-6)


def test_only_all_of_weight_space_holds_whole_networks(setting: Setting) -> None:
    if setting.basis.components:
        with pytest.raises(InputError, match="needs whole networks: use a subspace of method 'none'"):
            setting.basis.whole_networks(setting.matrix)
    else:
        found = setting.basis.whole_networks(setting.matrix)
        np.testing.assert_array_equal(found, setting.matrix.read()[:N])


def test_without_held_out_networks_their_distance_is_missing() -> None:
    rows = np.random.default_rng(4).normal(size=(N, D))
    training, held_out = basis_of(rows, K).nearest_distances(np.arange(N), (np.nan, np.nan))
    assert np.isfinite(training) and np.isnan(held_out)
