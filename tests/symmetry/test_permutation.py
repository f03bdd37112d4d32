"""Reordering hidden units moves weights and keeps functions."""

import numpy as np
import pytest
import torch

from dwf_steps.architectures import build
from dwf_steps.architectures.mlp import MLPArchitecture
from dwf_steps.config.architectures.base import Activation
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.symmetry.permutation import Permutations, permute, permute_axis
from dwf_steps.symmetry.spec import PermutationSpec, unit_counts


def random_networks(architecture: MLPArchitecture, n: int, seed: int = 0) -> dict[str, np.ndarray]:
    draws = np.random.default_rng(seed)
    return StackedNetworks({e.name: draws.normal(size=(n, *e.shape)) for e in architecture.layout.entries})


def random_permutations(architecture: MLPArchitecture, n: int, seed: int = 1) -> Permutations:
    draws = np.random.default_rng(seed)
    shapes = {e.name: e.shape for e in architecture.layout.entries}
    counts = unit_counts(shapes, architecture.permutation_spec())
    return {p: np.stack([draws.permutation(units) for _ in range(n)]) for p, units in counts.items()}


def outputs(architecture: MLPArchitecture, networks: dict[str, np.ndarray], inputs: np.ndarray) -> np.ndarray:
    parameters = networks.tensors()
    return architecture.forward(parameters, torch.from_numpy(inputs)).numpy()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_axis_is_reordered_in_each_network_by_its_own_permutation(axis: int) -> None:
    draws = np.random.default_rng(0)
    array = draws.normal(size=(4, 5, 6, 7))
    units = array.shape[axis + 1]
    permutation = np.stack([draws.permutation(units) for _ in range(4)])
    expected = np.stack([np.take(array[i], permutation[i], axis) for i in range(4)])
    np.testing.assert_array_equal(permute_axis(array, axis, permutation), expected)


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
@pytest.mark.parametrize("widths", [[4, 3], [3, 6, 2], [5, 7, 4, 6, 3]])
def test_permuting_keeps_the_function(widths: list[int], activation: Activation) -> None:
    architecture = build(MLPConfig(widths=widths, activation=activation))
    networks = random_networks(architecture, n=4)
    permuted = permute(networks, architecture.permutation_spec(), random_permutations(architecture, n=4))
    inputs = np.random.default_rng(2).normal(size=(20, widths[0]))
    before = outputs(architecture, networks, inputs)
    np.testing.assert_allclose(outputs(architecture, permuted, inputs), before, rtol=1e-12, atol=1e-12)


def test_permuting_moves_the_weights_it_should() -> None:
    architecture = build(MLPConfig(widths=[2, 3, 4, 2]))
    networks = random_networks(architecture, n=3)
    orders = random_permutations(architecture, n=3)
    permuted = permute(networks, architecture.permutation_spec(), orders)
    for i in range(3):
        p, q = orders["hidden.0"][i], orders["hidden.1"][i]
        network = networks.network(i)
        expected = {
            "layers.0.weight": network["layers.0.weight"][p],
            "layers.0.bias": network["layers.0.bias"][p],
            "layers.1.weight": network["layers.1.weight"][q][:, p],
            "layers.1.bias": network["layers.1.bias"][q],
            "layers.2.weight": network["layers.2.weight"][:, q],
            "layers.2.bias": network["layers.2.bias"],
        }
        for name, array in expected.items():
            np.testing.assert_array_equal(permuted[name][i], array)


def test_the_inverse_permutation_restores_the_networks() -> None:
    architecture = build(MLPConfig(widths=[4, 6, 5, 3]))
    networks, spec = random_networks(architecture, n=3), architecture.permutation_spec()
    orders = random_permutations(architecture, n=3)
    inverse = {name: np.argsort(order, axis=1) for name, order in orders.items()}
    back = permute(permute(networks, spec, orders), spec, inverse)
    for name, array in networks.items():
        np.testing.assert_array_equal(back[name], array)


def test_permuting_leaves_its_input_alone() -> None:
    architecture = build(MLPConfig(widths=[4, 6, 3]))
    networks = random_networks(architecture, n=2)
    copies = networks.map(lambda array: array.copy())
    permute(networks, architecture.permutation_spec(), random_permutations(architecture, n=2))
    for name, array in copies.items():
        np.testing.assert_array_equal(networks[name], array)


def test_units_are_counted_for_every_permutation() -> None:
    architecture = build(MLPConfig(widths=[4, 6, 5, 3]))
    shapes = {e.name: e.shape for e in architecture.layout.entries}
    assert unit_counts(shapes, architecture.permutation_spec()) == {"hidden.0": 6, "hidden.1": 5}


def test_axes_that_share_a_permutation_must_be_equally_long() -> None:
    spec: PermutationSpec = {"a": ("units", None), "b": (None, "units")}
    with pytest.raises(ValueError, match=r"axis 1 of b has 4 units, other axes of units have 3"):
        unit_counts({"a": (3, 2), "b": (2, 4)}, spec)
