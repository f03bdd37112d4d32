"""Units are chosen whose responses complement each other."""

from itertools import combinations, product

import pytest
import torch
from response_cases import capture_of, networks_of, own
from torch import Tensor

from dwf_steps.architectures import build
from dwf_steps.architectures.base import Architecture
from dwf_steps.config.architectures.images import ResNetConfig, ViTConfig
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.representation.capture import Capture
from dwf_steps.representation.decoding import Decoder
from dwf_steps.representation.responses import ResponseBasis, Sketches, encode
from dwf_steps.representation.selection import UnitSelection, complementary_units
from dwf_steps.representation.tracing import trace
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.stacked import StackedNetworks

RESNET = ResNetConfig(kind="resnet20", width_multiplier=0.25, image_size=8, classes=4)
EXACT = {"ridge": 1e-9}


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch_generator("units", seed), dtype=torch.float64)


def error(inputs: Tensor, target: Tensor, units: list[int], ridge: float, has_bias: bool) -> float:
    """The regularised least squares problem, solved from the start."""
    penalty = ridge * inputs.square().sum() / (inputs.shape[1] * inputs.shape[2])
    if has_bias:
        inputs, target = inputs - inputs.mean(0), target - target.mean(0)
    read = inputs[:, units].flatten(1)
    weights = torch.linalg.solve(read.T @ read + penalty * torch.eye(read.shape[1]), read.T @ target)
    return float((read @ weights - target).square().sum() + penalty * weights.square().sum())


@pytest.mark.parametrize("b", [1, 3])
@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("interchangeable", [True, False])
def test_each_unit_is_the_best_one_after_those_chosen_before(
    b: int, has_bias: bool, interchangeable: bool
) -> None:
    count, candidates, ridge = 4, 3, 1e-2
    inputs, target = drawn(40, candidates * count, b) + 0.5, drawn(40, 5, seed=1) + 2
    expected: list[int] = []
    for _ in range(count):
        open_places = set(range(count)) - {unit % count for unit in expected}
        free = [
            unit
            for unit in range(candidates * count)
            if (unit not in expected if interchangeable else unit % count in open_places)
        ]
        errors = {unit: error(inputs, target, [*expected, unit], ridge, has_bias) for unit in free}
        expected.append(min(errors, key=errors.__getitem__))
    found = complementary_units(inputs, target, count, ridge, has_bias, interchangeable).tolist()
    if interchangeable:
        assert found == expected
    else:
        assert found == sorted(expected, key=lambda unit: unit % count)
        assert [unit % count for unit in found] == list(range(count))


@pytest.mark.parametrize("interchangeable", [True, False])
def test_units_that_make_the_target_are_found_among_others(interchangeable: bool) -> None:
    inputs, planted = drawn(60, 8, 1), [4, 1, 6, 3]
    target = inputs[:, planted, 0] @ torch.diag(torch.tensor([4.0, 3.0, 2.0, 1.0]).double())
    found = complementary_units(inputs, target, 4, 1e-12, True, interchangeable).tolist()
    assert sorted(found) == sorted(planted)
    assert interchangeable or found == planted
    subsets = combinations(range(8), 4) if interchangeable else product((0, 4), (1, 5), (2, 6), (3, 7))
    best = min(subsets, key=lambda units: error(inputs, target, list(units), 1e-12, True))
    assert sorted(best) == sorted(planted)


def basis_of(capture: Capture, networks: StackedNetworks[Tensor]) -> ResponseBasis:
    sketches = Sketches(capture, trace(capture.architecture), 1000, seed=0)
    sketches.add(networks)
    shapes = {entry.name: entry.shape for entry in capture.architecture.layout.entries}
    return sketches.basis(shapes, networks.select([0]))


def mixed_up(architecture: Architecture, m: int) -> tuple[Capture, ResponseBasis, Tensor, UnitSelection]:
    """Three candidates: a network, and two in whose first layers some of its units stand beside noise."""
    capture = capture_of(architecture, m=m)
    networks = networks_of(architecture, 3)
    basis = basis_of(capture, networks)
    coordinates = encode(capture, basis, networks)[0]
    return capture, basis, coordinates, UnitSelection.of(architecture, trace(architecture))


@pytest.mark.parametrize(
    ("architecture", "interchangeable", "inputs"),
    [
        (build(MLPConfig(widths=[6, 5, 4, 3])), True, 1),
        (build(RESNET), False, 9),
        (own("own_networks:SmallCNN", (3, 6, 6)), True, 9),
        (own("own_networks:ReluCNN", (3, 6, 6)), True, 9),
    ],
    ids=["MLP", "ResNet-20", "CNN", "CNN whose permutations are found"],
)
def test_the_second_layer_says_how_units_reach_it(
    architecture: Architecture, interchangeable: bool, inputs: int
) -> None:
    selection = UnitSelection.of(architecture, trace(architecture))
    assert (selection.interchangeable, selection.inputs) == (interchangeable, inputs)


def test_a_networks_own_units_are_found_among_those_of_others() -> None:
    """The second layer of the first candidate is met best by the units that it was trained with, wherever
    they are."""
    capture, basis, coordinates, selection = mixed_up(build(MLPConfig(widths=[6, 5, 4, 3])), m=60)
    first = next(entry for entry in basis.layout.entries if entry.name == selection.first.name)
    candidates = coordinates.clone()
    units = coordinates[:, first.columns].unflatten(1, first.shape)
    swapped = units.clone()
    swapped[0, :2], swapped[2, :2] = units[2, :2], units[0, :2]
    candidates[:, first.columns] = swapped.flatten(1)
    found = selection.choose(Decoder(capture, basis, **EXACT), candidates[None], StackedNetworks({}))
    chosen = found[0, first.columns].unflatten(0, first.shape)
    own_units, several = units[0], [row for row in chosen]
    assert all(min((row - unit).norm() for row in several) < 1e-6 for unit in own_units)
    torch.testing.assert_close(found[0, first.columns.stop :], coordinates[0, first.columns.stop :])


def test_affine_parameters_of_a_normalisation_follow_their_units() -> None:
    """In the places that a residual stream gives them."""
    architecture = build(RESNET)
    capture, basis, coordinates, selection = mixed_up(architecture, m=10)
    buffers = networks_of(architecture, 1).only(architecture.buffers)
    entries = {entry.name: entry for entry in basis.layout.entries}
    candidates = coordinates.clone()
    for name in (selection.first.name, "bn1.weight", "bn1.bias"):
        columns, shape = entries[name].columns, entries[name].shape
        units = candidates[:, columns].unflatten(1, shape)
        units[[0, 2], 1] = units[[2, 0], 1]
        candidates[:, columns] = units.flatten(1)
    assert not torch.equal(candidates[0], coordinates[0])
    found = selection.choose(Decoder(capture, basis, **EXACT), candidates[None], buffers)[0]
    torch.testing.assert_close(found, coordinates[0])


def test_one_candidate_is_taken_whole() -> None:
    capture, basis, coordinates, selection = mixed_up(build(RESNET), m=10)
    buffers = networks_of(capture.architecture, 3).only(capture.architecture.buffers)
    found = selection.choose(Decoder(capture, basis, **EXACT), coordinates[:, None], buffers)
    torch.testing.assert_close(found, coordinates)


@pytest.mark.parametrize(
    ("architecture", "why"),
    [
        (build(ViTConfig(kind="vit", image_size=8, width=8, depth=1, heads=2, mlp=12, classes=3)), "mixed"),
        (own("Convolutions", (2, 9, 10)), "does not read 4 units"),
        (build(MLPConfig(widths=[6, 3])), "no layer after"),
    ],
    ids=["ViT", "grouped", "linear"],
)
def test_units_that_do_not_reach_a_second_layer_one_by_one_are_refused(
    architecture: Architecture, why: str
) -> None:
    with pytest.raises(InputError, match=f"{why}.*set sampling.candidates: 1"):
        UnitSelection.of(architecture, trace(architecture))
