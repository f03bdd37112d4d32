"""Unit-norm incoming weights remove the scaling symmetry of ReLU units."""

import numpy as np
import pytest
import torch

from dwf_steps.architectures import build
from dwf_steps.architectures.base import Architecture
from dwf_steps.architectures.mlp import MLPArchitecture
from dwf_steps.config.architectures.images import ResNetConfig
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.symmetry.rescaling import normalize_incoming

Networks = StackedNetworks[np.ndarray]
WIDTHS = [[3, 5, 2], [6, 8, 7, 4]]


def architecture_of(widths: list[int]) -> MLPArchitecture:
    return build(MLPConfig(widths=widths))


def random_networks(architecture: MLPArchitecture, n: int = 4, seed: int = 0) -> Networks:
    draws = np.random.default_rng(seed)
    return StackedNetworks({e.name: draws.normal(size=(n, *e.shape)) for e in architecture.layout.entries})


def outputs(architecture: MLPArchitecture, networks: Networks) -> np.ndarray:
    inputs = np.random.default_rng(1).normal(size=(30, architecture.config.widths[0]))
    parameters = networks.tensors()
    return architecture.forward(parameters, torch.from_numpy(inputs)).numpy()


@pytest.mark.parametrize("widths", WIDTHS)
def test_incoming_weights_of_hidden_units_get_unit_norm(widths: list[int]) -> None:
    architecture = architecture_of(widths)
    networks = normalize_incoming(random_networks(architecture), architecture.rescaling_spec())
    for i in range(len(widths) - 2):
        norms = np.linalg.norm(networks[f"layers.{i}.weight"], axis=2)
        np.testing.assert_allclose(norms, 1.0, rtol=1e-12)


@pytest.mark.parametrize("widths", WIDTHS)
def test_normalising_keeps_the_function(widths: list[int]) -> None:
    architecture = architecture_of(widths)
    networks = random_networks(architecture)
    before = outputs(architecture, networks)
    after = outputs(architecture, normalize_incoming(networks, architecture.rescaling_spec()))
    np.testing.assert_allclose(after, before, rtol=1e-10, atol=1e-12)


def test_rescaled_copies_become_the_same_network() -> None:
    architecture = architecture_of([6, 8, 7, 4])
    networks = random_networks(architecture)
    draws = np.random.default_rng(2)
    first, second = draws.uniform(0.1, 10, size=(4, 8)), draws.uniform(0.1, 10, size=(4, 7))
    scaled = {
        "layers.0.weight": networks["layers.0.weight"] * first[:, :, None],
        "layers.0.bias": networks["layers.0.bias"] * first,
        "layers.1.weight": networks["layers.1.weight"] * second[:, :, None] / first[:, None, :],
        "layers.1.bias": networks["layers.1.bias"] * second,
        "layers.2.weight": networks["layers.2.weight"] / second[:, None, :],
        "layers.2.bias": networks["layers.2.bias"],
    }
    spec = architecture.rescaling_spec()
    expected, found = normalize_incoming(networks, spec), normalize_incoming(scaled, spec)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-12)


def test_normalising_twice_is_normalising_once() -> None:
    architecture = architecture_of([6, 8, 7, 4])
    spec = architecture.rescaling_spec()
    once = normalize_incoming(random_networks(architecture), spec)
    for name, array in normalize_incoming(once, spec).items():
        np.testing.assert_allclose(array, once[name], rtol=1e-13)


def test_a_unit_without_incoming_weights_is_left_alone() -> None:
    architecture = architecture_of([3, 5, 2])
    networks = random_networks(architecture)
    networks["layers.0.weight"][1, 2] = 0
    after = normalize_incoming(networks, architecture.rescaling_spec())
    assert not after["layers.0.weight"][1, 2].any()
    assert after["layers.0.bias"][1, 2] == networks["layers.0.bias"][1, 2]
    np.testing.assert_array_equal(after["layers.1.weight"][1, :, 2], networks["layers.1.weight"][1, :, 2])
    np.testing.assert_allclose(
        outputs(architecture, after), outputs(architecture, networks), rtol=1e-10, atol=1e-12
    )


def test_the_last_bias_and_the_input_arrays_stay() -> None:
    architecture = architecture_of([3, 5, 2])
    networks = random_networks(architecture)
    copies = networks.map(lambda array: array.copy())
    after = normalize_incoming(networks, architecture.rescaling_spec())
    np.testing.assert_array_equal(after["layers.1.bias"], copies["layers.1.bias"])
    for name, array in copies.items():
        np.testing.assert_array_equal(networks[name], array)


def residual() -> tuple[Architecture, Networks]:
    """Return small residual networks, two stages with a shortcut among them, with all weights and statistics
    random, factors of normalisation negative too."""
    architecture = build(ResNetConfig(kind="resnet20", width_multiplier=0.125, image_size=8, classes=3))
    draws = np.random.default_rng(0)
    networks = StackedNetworks(
        {name: draws.normal(size=(2, *shape)) for name, shape in architecture.shapes.items()}
    )
    for name in networks:
        if name.endswith("running_var"):
            networks[name] = np.abs(networks[name]) + 0.1
        elif name.endswith("tracked"):
            networks[name] = np.zeros(2, np.int64)
    return architecture, networks


def residual_outputs(architecture: Architecture, networks: Networks) -> np.ndarray:
    images = torch.from_numpy(np.random.default_rng(1).normal(size=(6, 3 * 8 * 8)))
    tensors = networks.tensors()
    return architecture.forward(tensors, images).detach().numpy()


def test_residual_networks_keep_their_function() -> None:
    architecture, networks = residual()
    after = normalize_incoming(networks, architecture.rescaling_spec())
    before = residual_outputs(architecture, networks)
    np.testing.assert_allclose(residual_outputs(architecture, after), before, rtol=1e-8, atol=1e-9)
    for array in after.values():
        if array.ndim == 5:
            np.testing.assert_allclose(np.linalg.norm(array.reshape(*array.shape[:2], -1), axis=2), 1)
    for name in ("bn1", "layer2.0.bn1", "layer3.0.bn2"):
        np.testing.assert_allclose(np.abs(after[f"{name}.weight"]), 1)


def test_residual_networks_scaled_where_it_does_not_matter_become_the_same() -> None:
    architecture, networks = residual()
    draws, scaled = np.random.default_rng(2), networks.map(lambda array: array.copy())
    for units in architecture.rescaling_spec():
        first = scaled[units.incoming[0]]
        factors = draws.uniform(0.2, 5, size=first.shape[:2])
        for name in units.incoming:
            scaled[name] *= factors.reshape(2, -1, *[1] * (scaled[name].ndim - 2))
        for name in units.outgoing:
            scaled[name] /= factors.reshape(2, 1, -1, *[1] * (scaled[name].ndim - 3))
        if units.statistics:
            mean, variance = units.statistics
            scaled[mean] *= factors
            scaled[variance] = (scaled[variance] + 1e-5) * factors**2 - 1e-5
    np.testing.assert_allclose(
        residual_outputs(architecture, scaled), residual_outputs(architecture, networks), rtol=1e-7
    )
    spec = architecture.rescaling_spec()
    expected, found = normalize_incoming(networks, spec), normalize_incoming(scaled, spec)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-8, atol=1e-12)
