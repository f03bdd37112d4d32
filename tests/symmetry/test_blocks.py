"""Permutations of blocks of axes: what they move, that functions stay, that they are found."""

from typing import Any

import numpy as np
import pytest
import torch
from block_networks import CASES

from dwf_steps.architectures import build
from dwf_steps.architectures.base import Architecture
from dwf_steps.architectures.stated import StatedWronglyError, stated
from dwf_steps.config.architectures.module import ModuleConfig
from dwf_steps.config.canonicalization import GitRebasin
from dwf_steps.flow.units import UnitTokens
from dwf_steps.metrics.function_change import function_change
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.symmetry.activation_matching import match_responses
from dwf_steps.symmetry.canonical import remove_symmetries
from dwf_steps.symmetry.git_rebasin import match_weights
from dwf_steps.symmetry.permutation import permute
from dwf_steps.symmetry.rescaling import normalize_incoming
from dwf_steps.symmetry.spec import PermutationSpec, Rescaling, pieces, unit_counts

COPIES = 3


def blocks(name: str, kwargs: dict[str, Any]) -> Architecture:
    target = {"import": f"block_networks:{name}", "kwargs": kwargs, "shape": (1, 8, 8), "classes": 3}
    return build(ModuleConfig.model_validate(target))


def drawn(architecture: Architecture, n: int) -> StackedNetworks[np.ndarray]:
    """Return n networks whose statistics differ too."""
    states = [architecture.initial_state("default", torch_generator("blocks", i)) for i in range(n)]
    for state in states:
        for key, value in state.items():
            if value.is_floating_point():
                value += 0.1 * torch.rand(value.shape, generator=torch_generator(key, 0))
    return StackedNetworks.stack(states, torch.stack).numpy()


def shuffled(
    architecture: Architecture, n: int
) -> tuple[StackedNetworks[np.ndarray], StackedNetworks[np.ndarray]]:
    """Return n copies of one network, and with their units in other orders."""
    draws, spec = np.random.default_rng(0), architecture.permutation_spec()
    original = drawn(architecture, 1)
    counts = unit_counts({name: array.shape[1:] for name, array in original.items()}, spec)
    orders = {p: np.stack([draws.permutation(units) for _ in range(n)]) for p, units in counts.items()}
    copies = original.map(lambda array: np.concatenate([array] * n))
    return copies, permute(copies, spec, orders)


def test_blocks_of_an_axis_move_as_a_reshape_shows_them() -> None:
    draws = np.random.default_rng(0)
    array = draws.normal(size=(2, 3 * 4 * 2 + 5))
    orders = {"a": np.stack([draws.permutation(4) for _ in range(2)]), "b": np.array([[1, 0], [0, 1]])}
    moved = permute(StackedNetworks({"x": array}), {"x": ([(3, "a", "b"), 5],)}, orders)["x"]
    for i in range(2):
        divided = array[i, :24].reshape(3, 4, 2)[:, orders["a"][i]][:, :, orders["b"][i]]
        np.testing.assert_array_equal(moved[i], np.concatenate([divided.ravel(), array[i, 24:]]))


def test_sizes_of_blocks_follow_from_other_axes() -> None:
    spec: PermutationSpec = {
        "joined": (["a", "b", ("c", 2), 1],),
        "other": ("a", ("groups", "b")),
        "third": ("groups", (3, "c")),
    }
    shapes = {"joined": (4 + 5 + 12 + 1,), "other": (4, 10), "third": (2, 18)}
    assert unit_counts(shapes, spec) == {"a": 4, "b": 5, "c": 6, "groups": 2}
    assert [piece.shape for piece in pieces(shapes, spec)["joined"]] == [(4,), (5,), (6, 2), (1,)]


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        (("h", 4), r"axis 1 of b has 5 entries, \('h', 4\) are 20"),
        (["x", "y"], r"axis 1 of b has \['x', 'y'\], from which the numbers of units of x, y do not follow"),
        (
            (2, "x"),
            r"axis 1 of b has 5 entries, which \(2, 'x'\) cannot make up for any number of units of x",
        ),
        (["h", "x"], "axis 1 of b has 5 entries, which .* cannot make up for any number of units of x"),
        (
            ("h", 0),
            r"b has \('h', 0\) for an axis, expected a permutation's name, None, a tuple of names and n",
        ),
        ([], r"b has \[\] for an axis"),
        (["h", None], r"b has \['h', None\] for an axis"),
    ],
)
def test_blocks_that_do_not_make_up_an_axis_are_refused(axis: Any, message: str) -> None:
    class Stating:
        def permutation_spec(self) -> Any:
            return {"a": ("h", None), "b": (None, axis)}

    with pytest.raises(StatedWronglyError, match=message):
        stated(Stating(), "permutation_spec", {"a": (5, 2), "b": (3, 5)}, ())


@pytest.mark.parametrize(("name", "kwargs"), CASES)
def test_permuting_blocks_keeps_the_function_and_is_undone_by_alignment(
    name: str, kwargs: dict[str, Any]
) -> None:
    architecture = blocks(name, kwargs)
    copies, others = shuffled(architecture, COPIES)
    probe = np.random.default_rng(1).normal(size=(20, 64)).astype(np.float32)
    assert function_change(architecture, copies, others, probe).max() < 1e-12
    spec = architecture.symmetry_spec()
    found = remove_symmetries(spec, others, copies.network(0), [GitRebasin()]).networks
    for key, array in copies.items():
        assert not np.array_equal(others[key], array) or not any(spec.permutations[key])
        np.testing.assert_array_equal(found[key], array.astype(found[key].dtype))


def test_blocks_of_units_are_matched_by_all_that_they_respond() -> None:
    draws = np.random.default_rng(0)
    responses, spec = draws.normal(size=(30, 3 * 4)), {"layer": (None, ("units", 3))}
    orders = {"units": np.stack([draws.permutation(4) for _ in range(5)])}
    copies = StackedNetworks({"layer": np.stack([responses] * 5)})
    found = match_responses({"layer": responses}, permute(copies, spec, orders), spec)
    np.testing.assert_array_equal(found["units"], np.argsort(orders["units"], axis=1))


@pytest.mark.parametrize("name", ["RNN", "GRU"])
def test_matching_units_of_a_recurrent_matrix_never_goes_down(name: str) -> None:
    architecture = blocks("Gated", {"kind": name, "gates": 3 if name == "GRU" else 1})
    networks, spec = architecture.parameters_of(drawn(architecture, 9)), architecture.permutation_spec()
    reference, others = networks.network(0), networks.select(slice(1, None))
    matching = match_weights(reference, others, spec, 100, np.random.default_rng(0))
    assert (np.diff(matching.objective, axis=0) >= 0).all()
    moved = permute(others, spec, matching.permutations)
    products = sum(
        (reference[key] * array).reshape(8, -1).sum(1, dtype=np.float64) for key, array in moved.items()
    )
    np.testing.assert_allclose(matching.objective[-1], products, rtol=1e-5)
    assert (matching.objective[-1] > matching.objective[0]).sum() >= 7


@pytest.mark.parametrize(("name", "kwargs"), CASES)
def test_every_weight_belongs_to_one_unit(name: str, kwargs: dict[str, Any]) -> None:
    architecture = blocks(name, kwargs)
    tokens = UnitTokens.of(architecture.layout, architecture.permutation_spec())
    columns = np.concatenate([group.ravel() for group in tokens.groups])
    np.testing.assert_array_equal(np.sort(columns), np.arange(architecture.layout.size))


def test_scales_of_channels_are_taken_back_behind_a_flatten() -> None:
    architecture = blocks("Flattened", {})
    networks = drawn(architecture, 2)
    spec = [
        Rescaling(("c.weight", "c.bias"), ("f.weight",)),
        Rescaling(("f.weight", "f.bias"), ("o.weight",)),
    ]
    scaled = normalize_incoming(networks, spec)
    np.testing.assert_allclose(np.linalg.norm(scaled["c.weight"].reshape(2, 8, -1), axis=2), 1, rtol=1e-6)
    probe = np.random.default_rng(1).normal(size=(20, 64)).astype(np.float32)
    assert function_change(architecture, networks, scaled, probe).max() < 1e-6
