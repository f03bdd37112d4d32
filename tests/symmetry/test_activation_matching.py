"""Activation matching: each set of units is assigned exactly, by responses alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations as all_orders

import numpy as np
import pytest

from dwf_steps.architectures import build
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.canonicalization import ActivationMatching
from dwf_steps.storage.stacked import NetworkState, StackedNetworks
from dwf_steps.symmetry.activation_matching import match_activations, match_responses, matched_responses
from dwf_steps.symmetry.barycentre import barycentre_of
from dwf_steps.symmetry.canonical import remove_symmetries
from dwf_steps.symmetry.permutation import permute
from dwf_steps.symmetry.spec import PermutationSpec, SymmetrySpec

Arrays = StackedNetworks[np.ndarray]
STREAM: PermutationSpec = {"first": (None, "stream"), "inner": (None, "block"), "last": (None, "stream")}
N = 6


def random_responses(n: int = N, seed: int = 0) -> Arrays:
    """Return the responses of two layers that share four units, and of one with five others."""
    draws = np.random.default_rng(seed)
    shapes = {"first": (7, 4), "inner": (9, 5), "last": (3, 4)}
    return StackedNetworks({name: draws.normal(size=(n, *shape)) for name, shape in shapes.items()})


def squared_distances(reference: NetworkState[np.ndarray], responses: Arrays) -> np.ndarray:
    """Return the squared distance of each of n networks' responses to a reference's, (n,)."""
    return sum(((array - reference[name]) ** 2).sum(axis=(1, 2)) for name, array in responses.items())


@dataclass(frozen=True)
class Stated:
    """Networks that are their own responses, some at a time."""

    spec: PermutationSpec
    size: int = N

    def of(self, networks: Arrays) -> Iterator[Arrays]:
        for _, some in networks.chunks(self.size):
            yield some


def symmetry_of(spec: PermutationSpec) -> SymmetrySpec:
    return SymmetrySpec(parameters=tuple(spec), permutations=spec)


@pytest.mark.parametrize("seed", range(3))
def test_no_order_of_units_is_closer(seed: int) -> None:
    networks, reference = random_responses(seed=seed), random_responses(1, seed + 100).network(0)
    found = squared_distances(
        reference, permute(networks, STREAM, match_responses(reference, networks, STREAM))
    )
    every = [
        squared_distances(
            reference,
            permute(
                networks,
                STREAM,
                {p: np.tile(order, (N, 1)) for p, order in zip(("stream", "block"), orders, strict=True)},
            ),
        )
        for orders in ((a, b) for a in all_orders(range(4)) for b in all_orders(range(5)))
    ]
    np.testing.assert_allclose(found, np.min(every, axis=0), rtol=1e-12)
    assert (found < squared_distances(reference, networks)).all()


def test_a_layer_that_shares_units_changes_their_order() -> None:
    networks, reference = random_responses(), random_responses(1, 100).network(0)
    alone = {name: axes for name, axes in STREAM.items() if name != "last"}
    shared = match_responses(reference, networks, STREAM)["stream"]
    assert (match_responses(reference, networks, alone)["stream"] != shared).any()


@pytest.mark.parametrize("seed", range(5))
def test_planted_permutations_are_undone(seed: int) -> None:
    draws, reference = np.random.default_rng(seed), random_responses(1, seed).network(0)
    copies = StackedNetworks({name: np.stack([array] * N) for name, array in reference.items()})
    orders = {p: np.stack([draws.permutation(k) for _ in range(N)]) for p, k in (("stream", 4), ("block", 5))}
    shuffled = permute(copies, STREAM, orders)
    found = permute(shuffled, STREAM, match_responses(reference, shuffled, STREAM))
    for name, array in copies.items():
        np.testing.assert_array_equal(found[name], array)


def test_a_sets_order_does_not_depend_on_other_sets() -> None:
    networks, reference = random_responses(), random_responses(1, 100).network(0)
    before = match_responses(reference, networks, STREAM)
    others = networks.replaced({"inner": networks["inner"][:, :, ::-1]})
    after = match_responses(reference, others, STREAM)
    np.testing.assert_array_equal(after["stream"], before["stream"])
    np.testing.assert_array_equal(after["block"], 4 - before["block"])


@pytest.mark.parametrize("size", [1, 4])
def test_how_many_networks_respond_at_a_time_plays_no_part(size: int) -> None:
    networks, reference = random_responses(), random_responses(1, 100).network(0)
    expected = match_responses(reference, networks, STREAM)
    found = match_activations(reference, networks, Stated(STREAM, size))
    for name, orders in expected.items():
        np.testing.assert_array_equal(found[name], orders)
    parts = list(matched_responses(reference, networks, Stated(STREAM, size)))
    moved = permute(networks, STREAM, expected)
    for name, array in moved.items():
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), array)


def spread(responses: Arrays) -> float:
    mean = {name: array.mean(axis=0) for name, array in responses.items()}
    return float(np.sqrt(squared_distances(mean, responses).mean()))


def test_the_barycentre_is_the_mean_response_and_networks_come_closer_to_it_with_every_round() -> None:
    networks, method = random_responses(40), ActivationMatching(target="barycentre", rounds=30)
    reference, responding = networks.network(0), Stated(STREAM)
    spec = symmetry_of(STREAM)
    found = barycentre_of(spec, lambda: [networks], reference, [], method, responding)
    assert len(found.spreads) > 2
    assert (np.diff(found.spreads) <= 0).all()
    first = permute(networks, STREAM, match_responses(reference, networks, STREAM))
    assert found.spreads[0] == pytest.approx(spread(first), rel=1e-12)
    canonical = remove_symmetries(spec, networks, reference, [method], found.network, responding)
    assert found.spreads[-1] == pytest.approx(spread(canonical.networks), rel=1e-12)
    for name, array in canonical.networks.items():
        np.testing.assert_allclose(found.network[name], array.mean(axis=0), rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(canonical.reference[name], array[0])
    assert canonical.sweeps.tolist() == [1] * 40


def test_no_orders_bring_two_networks_closer_to_their_mean_than_the_barycentres() -> None:
    networks, method = random_responses(2), ActivationMatching(target="barycentre")
    found = barycentre_of(
        symmetry_of(STREAM), lambda: [networks], networks.network(0), [], method, Stated(STREAM)
    )
    # The mean of two lies half-way, so that their distance is what counts.
    every = []
    for a in all_orders(range(4)):
        for b in all_orders(range(5)):
            orders = {"stream": np.array([range(4), a]), "block": np.array([range(5), b])}
            every.append(spread(permute(networks, STREAM, orders)))
    assert found.spreads[-1] == pytest.approx(min(every), rel=1e-12)


def test_responses_must_be_given() -> None:
    architecture = build(MLPConfig(widths=[4, 5, 3]))
    draws = np.random.default_rng(0)
    networks = StackedNetworks(
        {e.name: draws.normal(size=(2, *e.shape)) for e in architecture.layout.entries}
    )
    with pytest.raises(ValueError, match="compares responses, but none were given; state `responding`"):
        remove_symmetries(architecture.symmetry_spec(), networks, networks.network(0), [ActivationMatching()])
