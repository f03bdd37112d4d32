"""Canonicalization composes its methods and proves that it kept every function."""

import re

import numpy as np
import pytest
import torch

from dwf_steps.architectures import build
from dwf_steps.architectures.mlp import MLPArchitecture
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.canonicalization import GitRebasin, Method, Normalized
from dwf_steps.metrics.function_change import function_change, require_same_function
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.stacked import NetworkState, StackedNetworks
from dwf_steps.symmetry.canonical import Canonical, remove_symmetries, require_moderate_weights
from dwf_steps.symmetry.permutation import permute
from dwf_steps.symmetry.spec import PermutationSpec

Networks = StackedNetworks[np.ndarray]
COMPOSITIONS: list[list[Method]] = [[Normalized(), GitRebasin()], [GitRebasin(), Normalized()]]
N = 5


def relu_architecture() -> MLPArchitecture:
    return build(MLPConfig(widths=[5, 8, 7, 3]))


def random_networks(architecture: MLPArchitecture, n: int = N, seed: int = 0) -> Networks:
    draws = np.random.default_rng(seed)
    return StackedNetworks(
        {e.name: draws.normal(size=(n, *e.shape)).astype(np.float32) for e in architecture.layout.entries}
    )


def network(networks: Networks, i: int) -> NetworkState[np.ndarray]:
    return networks.network(i)


def probe() -> np.ndarray:
    return np.random.default_rng(9).normal(size=(40, 5)).astype(np.float32)


def shuffled_copies(architecture: MLPArchitecture, reference: Networks) -> Networks:
    draws = np.random.default_rng(1)
    orders = {
        f"hidden.{i}": np.stack([draws.permutation(units) for _ in range(N)])
        for i, units in enumerate(architecture.config.widths[1:-1])
    }
    copies = StackedNetworks({name: np.stack([array] * N) for name, array in reference.items()})
    return permute(copies, architecture.permutation_spec(), orders)


@pytest.mark.parametrize("methods", [[GitRebasin()], [Normalized()], *COMPOSITIONS])
def test_canonical_networks_compute_the_same_functions(methods: list[Method]) -> None:
    architecture = relu_architecture()
    networks = random_networks(architecture)
    canonical = remove_symmetries(architecture.symmetry_spec(), networks, network(networks, 0), methods)
    change = function_change(architecture, networks, canonical.networks, probe())
    assert change.shape == (N,)
    assert change.max() < 1e-12
    require_same_function([f"seed-{i}" for i in range(N)], change)
    assert any(not np.allclose(canonical.networks[name], networks[name]) for name in networks)


@pytest.mark.parametrize("methods", COMPOSITIONS)
def test_shuffled_and_rescaled_copies_become_the_reference(methods: list[Method]) -> None:
    architecture = relu_architecture()
    reference = network(random_networks(architecture, n=1), 0)
    # Scaling by powers of two of all units alike: matching before normalising still finds the shuffling.
    copies = shuffled_copies(architecture, reference)
    copies["layers.0.weight"] *= 2
    copies["layers.0.bias"] *= 2
    copies["layers.1.weight"] /= 2
    canonical = remove_symmetries(architecture.symmetry_spec(), copies, reference, methods)
    for name, array in canonical.reference.items():
        np.testing.assert_allclose(canonical.networks[name], np.stack([array] * N), rtol=1e-12)


def test_after_normalising_the_reference_is_normalised_too() -> None:
    architecture = relu_architecture()
    networks = random_networks(architecture)
    canonical = remove_symmetries(
        architecture.symmetry_spec(), networks, network(networks, 0), [Normalized()]
    )
    norms = np.linalg.norm(canonical.reference["layers.1.weight"], axis=1)
    np.testing.assert_allclose(norms, 1.0, rtol=1e-12)
    for name, array in canonical.reference.items():
        np.testing.assert_array_equal(canonical.networks[name][0], array)


@pytest.mark.parametrize("methods", COMPOSITIONS)
def test_methods_are_applied_one_after_the_other(methods: list[Method]) -> None:
    architecture = relu_architecture()
    networks = random_networks(architecture)
    both = remove_symmetries(architecture.symmetry_spec(), networks, network(networks, 0), methods)
    first = remove_symmetries(architecture.symmetry_spec(), networks, network(networks, 0), methods[:1])
    second = remove_symmetries(architecture.symmetry_spec(), first.networks, first.reference, methods[1:])
    for name in networks:
        np.testing.assert_array_equal(both.networks[name], second.networks[name])
        np.testing.assert_array_equal(both.reference[name], second.reference[name])
    np.testing.assert_array_equal(both.sweeps, first.sweeps + second.sweeps)
    np.testing.assert_allclose(np.linalg.norm(both.networks["layers.0.weight"], axis=2), 1.0)


def test_sweeps_are_counted_for_each_network() -> None:
    architecture = relu_architecture()
    networks = random_networks(architecture)
    reference = network(networks, 0)
    sweeps = remove_symmetries(architecture.symmetry_spec(), networks, reference, [GitRebasin(seed=2)]).sweeps
    # The reference itself needs one sweep to see that nothing changes; the others at least one more.
    assert sweeps[0] == 1
    assert (sweeps[1:] >= 2).all()
    limited = remove_symmetries(
        architecture.symmetry_spec(), networks, reference, [GitRebasin(seed=2, iterations=1)]
    ).sweeps
    assert limited.tolist() == [1] * N


def test_the_order_of_the_methods_matters() -> None:
    architecture = relu_architecture()
    networks = random_networks(architecture)
    first, second = (
        remove_symmetries(architecture.symmetry_spec(), networks, network(networks, 0), methods)
        for methods in COMPOSITIONS
    )
    assert not np.allclose(first.networks["layers.0.weight"], second.networks["layers.0.weight"])


def test_matching_normalised_networks_brings_them_closer() -> None:
    architecture = relu_architecture()
    networks = random_networks(architecture)
    normalised = remove_symmetries(
        architecture.symmetry_spec(), networks, network(networks, 0), [Normalized()]
    )
    matched = remove_symmetries(
        architecture.symmetry_spec(), networks, network(networks, 0), [Normalized(), GitRebasin()]
    )
    assert all(distance(matched, i) < distance(normalised, i) for i in range(1, N))


def distance(canonical: Canonical, i: int) -> float:
    pairs = [(canonical.networks[name][i], array) for name, array in canonical.reference.items()]
    return sum(float(((ours - theirs) ** 2).sum()) for ours, theirs in pairs)


def test_no_methods_leave_networks_and_reference_as_they_are() -> None:
    architecture = relu_architecture()
    networks = random_networks(architecture)
    canonical = remove_symmetries(architecture.symmetry_spec(), networks, network(networks, 2), [])
    assert not canonical.sweeps.any()
    for name, array in networks.items():
        np.testing.assert_array_equal(canonical.networks[name], array)
        np.testing.assert_array_equal(canonical.reference[name], array[2])


def test_a_networks_canonical_form_does_not_depend_on_its_shard() -> None:
    architecture = relu_architecture()
    networks = random_networks(architecture)
    methods: list[Method] = [Normalized(), GitRebasin(seed=3)]
    at_once = remove_symmetries(architecture.symmetry_spec(), networks, network(networks, 0), methods)
    for i in range(N):
        shard = networks.select(slice(i, i + 1))
        alone = remove_symmetries(architecture.symmetry_spec(), shard, network(networks, 0), methods)
        for name, array in alone.networks.items():
            np.testing.assert_allclose(array[0], at_once.networks[name][i], rtol=1e-12)


def test_the_change_is_relative_to_each_networks_largest_output() -> None:
    architecture = relu_architecture()
    before = random_networks(architecture).map(lambda array: array.astype(np.float64))
    after = before.replaced({"layers.2.bias": before["layers.2.bias"].copy()})
    after["layers.2.bias"][3, 1] += 0.25
    outputs = architecture.forward(before.tensors(), torch.from_numpy(probe()).double())
    change = function_change(architecture, before, after, probe())
    assert change[3] == pytest.approx(0.25 / outputs[3].abs().max().item(), rel=1e-12)
    assert not change[[0, 1, 2, 4]].any()


def test_a_wrong_symmetry_specification_is_caught_by_name() -> None:
    architecture = relu_architecture()
    networks = random_networks(architecture)
    wrong: PermutationSpec = {**architecture.permutation_spec(), "layers.1.weight": ("hidden.1", None)}
    orders = {"hidden.0": np.tile(np.arange(8), (N, 1)), "hidden.1": np.tile(np.arange(7), (N, 1))}
    orders["hidden.0"][2] = np.roll(np.arange(8), 1)
    change = function_change(architecture, networks, permute(networks, wrong, orders), probe())
    with pytest.raises(ArithmeticError, match=r"function of 1 of 5 networks, most seed-2"):
        require_same_function([f"seed-{i}" for i in range(N)], change)


def test_the_most_perturbed_network_is_named() -> None:
    architecture = relu_architecture()
    before = random_networks(architecture).map(lambda array: array.astype(np.float64))
    after = before.map(lambda array: array.copy())
    after["layers.2.bias"][1] += 1e-3
    after["layers.2.bias"][4] += 1e-1
    change = function_change(architecture, before, after, probe())
    with pytest.raises(ArithmeticError, match=r"function of 2 of 5 networks, most seed-4"):
        require_same_function([f"seed-{i}" for i in range(N)], change)


def test_changes_up_to_the_tolerance_pass_and_beyond_fail() -> None:
    require_same_function(["a", "b"], np.array([0.0, 9e-7]))
    with pytest.raises(ArithmeticError, match="most b"):
        require_same_function(["a", "b"], np.array([0.0, 1.1e-6]))


@pytest.mark.parametrize("change", [np.nan, np.inf])
def test_a_change_that_is_not_finite_fails(change: float) -> None:
    with pytest.raises(ArithmeticError, match=r"function of 1 of 3 networks, most b"):
        require_same_function(["a", "b", "c"], np.array([0.0, change, 1e-9]))


def test_a_network_that_became_nan_has_changed() -> None:
    architecture = relu_architecture()
    before = random_networks(architecture)
    after = before.map(lambda array: array.copy())
    after["layers.2.bias"][3] = np.nan
    change = function_change(architecture, before, after, probe())
    with pytest.raises(ArithmeticError, match=r"function of 1 of 5 networks, most seed-3"):
        require_same_function([f"seed-{i}" for i in range(N)], change)


def test_zero_outputs_may_stay_zero_but_nothing_else() -> None:
    architecture = relu_architecture()
    before = random_networks(architecture).map(lambda array: np.zeros_like(array))
    after = before.map(lambda array: array.copy())
    after["layers.2.bias"][1] = 1e-9
    change = function_change(architecture, before, after, probe())
    assert change.tolist() == [0, np.inf, 0, 0, 0]


@pytest.mark.parametrize("value", [1e20, -3e38, np.inf, np.nan])
def test_a_weight_that_overflows_is_named_with_its_network_and_parameter(value: float) -> None:
    architecture = relu_architecture()
    networks = random_networks(architecture)
    networks["layers.0.weight"][1, 2, 3] = 9e18
    names = [f"seed-{i}" for i in range(N)]
    require_moderate_weights(architecture.layout, names, networks)
    networks["layers.1.weight"][3, 4, 5] = value
    expected = f"seed-3: layers.1.weight[4, 5] is {value:.3g}, expected at most 9e+18 in magnitude"
    with pytest.raises(InputError, match=re.escape(expected)):
        require_moderate_weights(architecture.layout, names, networks)


def test_networks_without_a_scaling_symmetry_are_not_scaled() -> None:
    architecture = build(MLPConfig(widths=[5, 8, 3], activation="tanh"))
    networks = random_networks(architecture)
    assert architecture.symmetry_spec().rescalings is None
    with pytest.raises(
        ValueError, match="normalized scales units, but the networks state no scaling symmetry"
    ):
        remove_symmetries(architecture.symmetry_spec(), networks, network(networks, 0), [Normalized()])
