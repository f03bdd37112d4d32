"""Realigned distances: never longer than raw ones, nothing for permuted copies."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from dwf_steps.architectures import build
from dwf_steps.architectures.base import Architecture
from dwf_steps.config.architectures.images import ViTConfig
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.metrics import realign
from dwf_steps.metrics.realign import realigned_to_training
from dwf_steps.storage.matrix import Row, WeightMatrix
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.symmetry.permutation import permute

ARCHITECTURE = build(MLPConfig(widths=[60, 8, 7, 3]))
VIT = build(ViTConfig(kind="vit", image_size=8, width=8, depth=2, heads=2, mlp=12, classes=3))
N, HELD_OUT, K = 5, 2, 4


@pytest.fixture
def matrix(tmp_path: Path) -> WeightMatrix:
    rows = [Row(f"seed-{i}", held_out=i >= N) for i in range(N + HELD_OUT)]
    result = WeightMatrix.create(tmp_path / "weights.zarr", ARCHITECTURE.layout, rows, {})
    result.array[:] = np.random.default_rng(0).normal(size=result.array.shape)
    return result


def flat(networks: StackedNetworks[np.ndarray]) -> np.ndarray:
    return np.concatenate([v.reshape(len(v), -1) for v in networks.values()], axis=1).astype(np.float64)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("group", [1, 2**28], ids=["one training network at a time", "all at once"])
def test_no_distance_exceeds_the_raw_one(
    matrix: WeightMatrix, monkeypatch: pytest.MonkeyPatch, threads: int, group: int
) -> None:
    monkeypatch.setattr(realign, "GROUP_BYTES", group)
    weights = np.random.default_rng(1).normal(size=(K, ARCHITECTURE.layout.size)).astype(np.float32)
    found = realigned_to_training(ARCHITECTURE, ARCHITECTURE.layout.unflatten(weights), matrix, threads)
    raw = cdist(weights, matrix.read()[:N])
    assert found.shape == (K, N)
    assert (found <= raw + 1e-9).all() and found.sum() < 0.95 * raw.sum()


def test_a_training_network_with_its_units_in_another_order_is_found_again(matrix: WeightMatrix) -> None:
    draws, spec = np.random.default_rng(2), ARCHITECTURE.permutation_spec()
    training = matrix.networks(range(N))
    orders = {
        name: np.stack([draws.permutation(units) for _ in range(N)])
        for name, units in {"hidden.0": 8, "hidden.1": 7}.items()
    }
    shuffled = permute(training, spec, orders)
    assert cdist(flat(shuffled), flat(training)).diagonal().min() > 1
    found = realigned_to_training(ARCHITECTURE, shuffled, matrix)
    np.testing.assert_allclose(np.diag(found), 0, atol=1e-4)


@pytest.mark.parametrize("architecture", [ARCHITECTURE, VIT], ids=["MLP", "transformer"])
def test_networks_of_enormous_weights_are_far_away_but_no_error(
    tmp_path: Path, architecture: Architecture
) -> None:
    rows = [Row(f"seed-{i}") for i in range(2)]
    matrix = WeightMatrix.create(tmp_path / "w.zarr", architecture.layout, rows, {})
    matrix.array[:] = np.random.default_rng(0).normal(size=matrix.array.shape)
    weights = np.random.default_rng(1).normal(size=(2, architecture.layout.size)).astype(np.float32)
    weights[1] *= np.float32(1e37)
    found = realigned_to_training(architecture, architecture.layout.unflatten(weights), matrix)
    alone = realigned_to_training(architecture, architecture.layout.unflatten(weights[:1]), matrix)
    np.testing.assert_allclose(found[0], alone[0], rtol=1e-6)
    np.testing.assert_allclose(found[1], np.linalg.norm(weights[1].astype(np.float64)), rtol=1e-6)
