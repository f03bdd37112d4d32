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
from dwf_steps.runtime.randomness import numpy_generator
from dwf_steps.storage.layout import layer_of
from dwf_steps.storage.matrix import Row, WeightMatrix
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.symmetry.git_rebasin import match_weights
from dwf_steps.symmetry.permutation import permute

ARCHITECTURE = build(MLPConfig(widths=[60, 8, 7, 3]))
VIT = build(ViTConfig(kind="vit", image_size=8, width=8, depth=2, heads=2, mlp=12, classes=3))
N, HELD_OUT, K = 5, 2, 4
KINDS = ("weight", "bias")


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
    networks = ARCHITECTURE.layout.unflatten(weights)
    found = realigned_to_training(ARCHITECTURE, networks, matrix, threads).distances
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
    np.testing.assert_array_equal(np.diag(found.distances), 0)
    for distances in found.layers.values():
        np.testing.assert_array_equal(distances, 0)


def test_distances_in_layers_are_the_smallest_before_or_after_matching_the_whole_network(
    matrix: WeightMatrix,
) -> None:
    weights = np.random.default_rng(1).normal(size=(K, ARCHITECTURE.layout.size)).astype(np.float32)
    networks, training = ARCHITECTURE.layout.unflatten(weights), matrix.networks(range(N))
    found = realigned_to_training(ARCHITECTURE, networks, matrix)
    layers = {"layers.0": [], "layers.1": [], "layers.2": []}
    spec, totals = ARCHITECTURE.permutation_spec(), np.zeros((K, N))
    for j in range(N):
        draws = numpy_generator("git rebasin", 0)
        orders = match_weights(training.network(j), networks, spec, realign.SWEEPS, draws).permutations
        moved = permute(networks, spec, orders)
        for layer, distances in layers.items():
            own, other = (flat(some.only([f"{layer}.weight", f"{layer}.bias"])) for some in (moved, training))
            before = flat(networks.only([f"{layer}.weight", f"{layer}.bias"]))
            after = np.linalg.norm(own - other[j], axis=1)
            distances.append(np.minimum(after, np.linalg.norm(before - other[j], axis=1)))
            totals[:, j] += after**2
    assert list(found.layers) == list(layers)
    for layer, distances in layers.items():
        np.testing.assert_allclose(found.layers[layer], np.min(distances, axis=0), rtol=1e-9)
    np.testing.assert_allclose(found.distances, np.sqrt(totals), rtol=1e-9)
    assert any((np.argmin(d, axis=0) != totals.argmin(axis=1)).any() for d in layers.values())
    assert (np.sum(np.square(list(found.layers.values())), axis=0) <= found.nearest**2 + 1e-9).all()


def test_a_copied_layer_does_not_hide_behind_the_others(matrix: WeightMatrix) -> None:
    training = matrix.networks([2])
    weights = np.random.default_rng(1).normal(size=(1, ARCHITECTURE.layout.size)).astype(np.float32)
    copied = {name: training[name] for name in ("layers.0.weight", "layers.0.bias")}
    networks = ARCHITECTURE.layout.unflatten(weights).replaced(copied)
    order = np.random.default_rng(3).permutation(8)[None]
    spec = {name: axes for name, axes in ARCHITECTURE.permutation_spec().items() if "hidden.0" in axes}
    shuffled = permute(networks, spec, {"hidden.0": order, "hidden.1": np.arange(7)[None]})
    found = realigned_to_training(ARCHITECTURE, shuffled, matrix)
    assert found.layers["layers.0"] == 0
    assert found.nearest > 5 and found.layers["layers.1"] > 2


def test_layers_copied_from_different_networks_are_all_found(matrix: WeightMatrix) -> None:
    training = matrix.networks(range(3))
    layers = {
        f"layers.{i}.{kind}": training[f"layers.{i}.{kind}"][i : i + 1] for i in range(3) for kind in KINDS
    }
    found = realigned_to_training(ARCHITECTURE, StackedNetworks(layers), matrix)
    np.testing.assert_array_equal(list(found.layers.values()), 0)
    assert found.nearest > 5


def test_related_networks_are_left_out_of_every_distance(matrix: WeightMatrix) -> None:
    related = np.array([0, 0, 1, 1, 2])[:, None] == np.array([0, 0, 1, 1, 2])
    found = realigned_to_training(ARCHITECTURE, matrix.networks(range(N)), matrix, related=related)
    everything = realigned_to_training(ARCHITECTURE, matrix.networks(range(N)), matrix)
    assert np.isinf(found.distances[related]).all()
    np.testing.assert_array_equal(found.distances[~related], everything.distances[~related])
    np.testing.assert_array_equal(everything.nearest, 0)
    assert all((distances > 0).all() for distances in found.layers.values())


def test_a_row_is_written_for_each_network_and_layer(matrix: WeightMatrix) -> None:
    found = realigned_to_training(ARCHITECTURE, matrix.networks([5, 6]), matrix)
    frame = found.by_layer(["a", "b"])
    assert list(frame.columns) == ["network", "layer", "distance"]
    assert list(frame.network) == ["a"] * 3 + ["b"] * 3
    assert list(frame.layer) == ["layers.0", "layers.1", "layers.2"] * 2
    for i, (name, rows) in enumerate(frame.groupby("network")):
        assert (name, len(rows)) == ("ab"[i], 3)
        np.testing.assert_array_equal(rows.distance, [distances[i] for distances in found.layers.values()])


@pytest.mark.parametrize(
    ("parameter", "layer"),
    [
        ("layers.0.weight", "layers.0"),
        ("encoder.0.attention.in_proj_bias", "encoder.0.attention"),
        ("cls", "cls"),
    ],
)
def test_a_layer_is_the_module_that_holds_the_parameter(parameter: str, layer: str) -> None:
    assert layer_of(parameter) == layer


@pytest.mark.parametrize("architecture", [ARCHITECTURE, VIT], ids=["MLP", "transformer"])
def test_networks_of_enormous_weights_are_far_away_but_no_error(
    tmp_path: Path, architecture: Architecture
) -> None:
    rows = [Row(f"seed-{i}") for i in range(2)]
    matrix = WeightMatrix.create(tmp_path / "w.zarr", architecture.layout, rows, {})
    matrix.array[:] = np.random.default_rng(0).normal(size=matrix.array.shape)
    weights = np.random.default_rng(1).normal(size=(2, architecture.layout.size)).astype(np.float32)
    weights[1] *= np.float32(1e37)
    found, alone = (
        realigned_to_training(architecture, architecture.layout.unflatten(some), matrix).distances
        for some in (weights, weights[:1])
    )
    np.testing.assert_allclose(found[0], alone[0], rtol=1e-6)
    np.testing.assert_allclose(found[1], np.linalg.norm(weights[1].astype(np.float64)), rtol=1e-6)
