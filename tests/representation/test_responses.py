"""Coordinates are what layers respond, in an orthonormal basis."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from response_cases import architecture_of, capture_of, networks_of
from torch import Tensor

from dwf_steps.architectures.base import Architecture
from dwf_steps.representation import responses as module
from dwf_steps.representation.capture import Capture
from dwf_steps.representation.responses import ResponseBasis, Sketches, encode, probe_blocks, response_groups
from dwf_steps.representation.tracing import trace
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.stacked import StackedNetworks

CASES = ["MLP", "ResNet-20", "ViT", "BERT"]


def shapes_of(architecture: Architecture) -> Mapping[str, tuple[int, ...]]:
    return {entry.name: entry.shape for entry in architecture.layout.entries}


def basis_of(capture: Capture, networks: StackedNetworks[Tensor], functions: int) -> ResponseBasis:
    sketches = Sketches(capture, trace(capture.architecture), functions, seed=0)
    sketches.add(networks)
    return sketches.basis(shapes_of(capture.architecture), networks.select([0]))


@pytest.mark.parametrize("case", CASES)
def test_squares_of_coordinates_sum_to_the_mean_square_response_that_is_kept(case: str) -> None:
    architecture = architecture_of(case)
    networks, capture = networks_of(architecture), capture_of(architecture, positions=4, m=8)
    for functions in (2, 100):
        basis = basis_of(capture, networks, functions)
        coordinates, kept = encode(capture, basis, networks)
        assert coordinates.shape == (3, basis.layout.size)
        responses = capture.responses(networks, basis.trace.layers, slice(None))
        for entry in basis.layout.entries[: len(basis.trace.layers)]:
            mean_square = responses[entry.name].double().square().sum((1, 2)) / responses[entry.name].shape[1]
            squares = coordinates[:, entry.columns].square().sum(1)
            torch.testing.assert_close(squares, kept[entry.name] * mean_square, rtol=1e-5, atol=1e-9)
            assert (kept[entry.name] <= 1 + 1e-9).all()
            if functions == 100:
                torch.testing.assert_close(squares, mean_square, rtol=1e-5, atol=1e-9)


def test_parameters_that_are_no_layers_are_coordinates_themselves() -> None:
    architecture = architecture_of("ResNet-20")
    networks, capture = networks_of(architecture), capture_of(architecture, positions=4)
    basis = basis_of(capture, networks, 5)
    coordinates, _ = encode(capture, basis, networks)
    assert basis.trace.kept
    for entry in basis.layout.entries:
        if entry.name in basis.trace.kept:
            torch.testing.assert_close(coordinates[:, entry.columns].float(), networks[entry.name].flatten(1))


def test_coordinates_of_a_permuted_network_are_permuted() -> None:
    architecture = architecture_of("MLP")
    networks, capture = networks_of(architecture), capture_of(architecture, m=30)
    order = torch.tensor([3, 0, 4, 1, 2])
    permuted = networks.replaced(
        {
            "layers.0.weight": networks["layers.0.weight"][:, order],
            "layers.0.bias": networks["layers.0.bias"][:, order],
            "layers.1.weight": networks["layers.1.weight"][:, :, order],
        }
    )
    basis = basis_of(capture, networks, 4)
    parts = [basis.layout.unflatten(encode(capture, basis, some)[0].numpy()) for some in (networks, permuted)]
    first = parts[0]["layers.0.responses"]
    np.testing.assert_allclose(first[:, order.numpy()], parts[1]["layers.0.responses"], atol=1e-6)
    assert not np.allclose(first, parts[1]["layers.0.responses"], atol=1e-2)
    for name in ("layers.1.responses", "layers.2.responses"):
        np.testing.assert_allclose(parts[0][name], parts[1][name], atol=1e-6)


def test_channels_of_a_residual_network_permute_its_coordinates() -> None:
    architecture = architecture_of("ResNet-20")
    networks, capture = networks_of(architecture), capture_of(architecture, positions=4)
    order = torch.arange(networks["layer1.0.conv1.weight"].shape[1]).flip(0)
    inside = [f"layer1.0.bn1.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
    permuted = networks.replaced(
        {name: networks[name][:, order] for name in ("layer1.0.conv1.weight", *inside)}
        | {"layer1.0.conv2.weight": networks["layer1.0.conv2.weight"][:, :, order]}
    )
    basis = basis_of(capture, networks, 6)
    parts = [basis.layout.unflatten(encode(capture, basis, some)[0].numpy()) for some in (networks, permuted)]
    for name, coordinates in parts[0].items():
        moved = name in ("layer1.0.conv1.responses", "layer1.0.bn1.weight", "layer1.0.bn1.bias")
        expected = coordinates[:, order.numpy()] if moved else coordinates
        np.testing.assert_allclose(expected, parts[1][name], atol=1e-4)


def test_a_first_layers_coordinates_are_its_weights_in_the_datas_principal_axes() -> None:
    """Scaled by the data's root mean square along each: an isometry, recomputed by a singular value
    decomposition of the probes."""
    architecture = architecture_of("MLP")
    networks, capture = networks_of(architecture), capture_of(architecture, m=50)
    capture.probes[:, 2] = capture.probes[:, 1]  # one direction in which the data do not vary
    basis = basis_of(capture, networks, 3)
    coordinates = encode(capture, basis, networks)[0][:, basis.layout.entries[0].columns].reshape(3, 5, -1)
    assert coordinates.shape[2] == 6  # not limited to three functions; seven inputs with the ones, one double
    with_ones = torch.cat([capture.probes, torch.ones(50, 1)], dim=1).double()
    _, singular, axes = torch.linalg.svd(with_ones, full_matrices=False)
    root_mean_square = singular[:6] / 50**0.5
    weights = torch.cat([networks["layers.0.weight"], networks["layers.0.bias"][..., None]], dim=2).double()
    expected = weights @ axes[:6].T * root_mean_square
    torch.testing.assert_close(coordinates.abs(), expected.abs(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        coordinates.flatten(0, 1) @ coordinates.flatten(0, 1).T,
        expected.flatten(0, 1) @ expected.flatten(0, 1).T,
        rtol=1e-4,
        atol=1e-5,
    )


def test_a_first_layer_that_sees_nothing_has_no_functions() -> None:
    architecture = architecture_of("Convolutions")
    found = trace(architecture)
    layer = next(layer for layer in found.layers if layer.reads_data)
    capture = capture_of(architecture)
    capture.probes.zero_()
    functions = module.principal_functions(capture, layer, networks_of(architecture).select([0]))
    assert functions.shape == (capture.rows(layer), 1)  # the ones
    torch.testing.assert_close(functions.abs(), torch.full_like(functions, len(functions) ** -0.5))


@pytest.mark.parametrize("case", CASES)
def test_coordinates_do_not_depend_on_what_is_run_at_a_time(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    architecture = architecture_of(case)
    networks, capture = networks_of(architecture), capture_of(architecture, positions=3)
    basis = basis_of(capture, networks, 8)
    whole, kept = encode(capture, basis, networks)
    monkeypatch.setattr(module, "RESPONSES_BYTES", 1)
    assert [rows for rows, _ in response_groups(capture, basis.trace, networks)] == [
        slice(0, 1), slice(1, 2), slice(2, 3)
    ]  # fmt: skip
    assert len(probe_blocks(capture, 1)) == len(capture.probes)
    divided, kept_divided = encode(capture, basis, networks)
    torch.testing.assert_close(divided, whole, rtol=1e-3, atol=1e-4)
    for name, share in kept.items():
        torch.testing.assert_close(kept_divided[name], share, rtol=1e-4, atol=1e-6)
    again = basis_of(capture, networks, 8)
    for name, functions in basis.functions.items():
        projection = again.functions[name] @ (again.functions[name].T @ functions)
        torch.testing.assert_close(projection, functions, rtol=1e-2, atol=1e-2)


def test_responses_of_all_layers_together_stay_within_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    architecture = architecture_of("ResNet-20")
    networks, capture = networks_of(architecture), capture_of(architecture, positions=4)
    found = trace(architecture)
    one = sum(
        value.numel() * 4
        for value in module.all_responses(capture, list(found.layers), networks.select([0])).values()
    )
    monkeypatch.setattr(module, "RESPONSES_BYTES", 2 * one)
    assert [some.count for _, some in response_groups(capture, found, networks)] == [2, 1]


@pytest.mark.parametrize("value", [1e30, float("nan")])
def test_responses_that_are_not_finite_name_the_layer_and_the_network(value: float) -> None:
    architecture = architecture_of("MLP")
    networks, capture = networks_of(architecture), capture_of(architecture)
    basis = basis_of(capture, networks, 4)
    networks["layers.1.weight"][1] *= value
    networks["layers.2.weight"][1] *= value
    layer = "layers.2.responses" if value == 1e30 else "layers.1.responses"
    said = rf"{layer}: network 1 responds (-?inf|nan) .* `weights`"
    with pytest.raises(InputError, match=said):
        Sketches(capture, basis.trace, 4, seed=0).add(networks)
    with pytest.raises(InputError, match=said):
        encode(capture, basis, networks)
