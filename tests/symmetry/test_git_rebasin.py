"""Git Re-Basin finds planted permutations, and each of its assignments is exact."""

from itertools import permutations as all_orders
from typing import Literal

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from dwf_steps.architectures import build
from dwf_steps.architectures.mlp import MLPArchitecture
from dwf_steps.config.architectures.images import ResNetConfig
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.stacked import NetworkState, StackedNetworks
from dwf_steps.symmetry import git_rebasin
from dwf_steps.symmetry.git_rebasin import Matching, are_chains, evidence_order, match_weights, squared_norms
from dwf_steps.symmetry.permutation import Permutations, permute
from dwf_steps.symmetry.spec import PermutationSpec, unit_counts

Networks = StackedNetworks[np.ndarray]
Network = NetworkState[np.ndarray]
DEEP = [6, 8, 7, 9, 4]


def architecture_of(widths: list[int]) -> MLPArchitecture:
    return build(MLPConfig(widths=widths))


def random_networks(architecture: MLPArchitecture, n: int, seed: int) -> Networks:
    draws = np.random.default_rng(seed)
    drawn = StackedNetworks({e.name: draws.normal(size=(n, *e.shape)) for e in architecture.layout.entries})
    return drawn.map(lambda array: array.astype(np.float32).astype(np.float64))


def random_network(architecture: MLPArchitecture, seed: int) -> Network:
    return random_networks(architecture, 1, seed).network(0)


def match(
    architecture: MLPArchitecture,
    reference: Network,
    networks: Networks,
    iterations: int = 100,
    seed: int = 0,
) -> Matching:
    spec = architecture.permutation_spec()
    return match_weights(reference, networks, spec, iterations, np.random.default_rng(seed))


def planted(
    architecture: MLPArchitecture, reference: Network, n: int, seed: int
) -> tuple[Networks, Permutations]:
    """Return n shuffled copies of the reference, and the permutations that undo the shuffling."""
    draws = np.random.default_rng(seed)
    widths = architecture.config.widths[1:-1]
    orders = {
        f"hidden.{i}": np.stack([draws.permutation(units) for _ in range(n)])
        for i, units in enumerate(widths)
    }
    copies = StackedNetworks({name: np.stack([array] * n) for name, array in reference.items()})
    shuffled = permute(copies, architecture.permutation_spec(), orders)
    return shuffled, {name: np.argsort(order, axis=1) for name, order in orders.items()}


def inner_product(first: Network, second: Network) -> float:
    return sum(float((first[name] * second[name]).sum()) for name in first)


@pytest.mark.parametrize("widths", [[3, 12, 2], DEEP])
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_planted_permutations_are_recovered_exactly(widths: list[int], noise: float) -> None:
    architecture = architecture_of(widths)
    reference = random_network(architecture, seed=0)
    networks, undo = planted(architecture, reference, n=6, seed=1)
    draws = np.random.default_rng(2)
    networks = networks.map(lambda array: array + noise * draws.normal(size=array.shape))
    matching = match(architecture, reference, networks)
    for p, order in undo.items():
        np.testing.assert_array_equal(matching.permutations[p], order)


def test_a_shuffled_copy_becomes_the_reference_itself() -> None:
    architecture = architecture_of(DEEP)
    reference = random_network(architecture, seed=3)
    networks, _ = planted(architecture, reference, n=4, seed=4)
    matching = match(architecture, reference, networks)
    aligned = permute(networks, architecture.permutation_spec(), matching.permutations)
    for name, array in reference.items():
        np.testing.assert_array_equal(aligned[name], np.stack([array] * 4))


def test_an_aligned_network_stays_and_takes_one_sweep() -> None:
    architecture = architecture_of(DEEP)
    reference = random_network(architecture, seed=5)
    matching = match(architecture, reference, StackedNetworks.of_one(reference))
    assert matching.sweeps.tolist() == [1]
    for order in matching.permutations.values():
        np.testing.assert_array_equal(order[0], np.arange(order.shape[1]))


def test_every_network_gets_permutations_of_all_units() -> None:
    architecture = architecture_of(DEEP)
    matching = match(architecture, random_network(architecture, 6), random_networks(architecture, 5, 7))
    assert set(matching.permutations) == {"hidden.0", "hidden.1", "hidden.2"}
    for i, units in enumerate(DEEP[1:-1]):
        order = matching.permutations[f"hidden.{i}"]
        np.testing.assert_array_equal(np.sort(order, axis=1), np.tile(np.arange(units), (5, 1)))


def test_the_objective_never_decreases_and_ends_at_the_inner_product() -> None:
    architecture = architecture_of(DEEP)
    reference, networks = random_network(architecture, 8), random_networks(architecture, 6, 9)
    matching = match(architecture, reference, networks)
    assert matching.objective.shape == (matching.sweeps.max() + 1, 6)
    assert (np.diff(matching.objective, axis=0) >= 0).all()
    aligned = permute(networks, architecture.permutation_spec(), matching.permutations)
    for i in range(6):
        before = inner_product(reference, networks.network(i))
        after = inner_product(reference, aligned.network(i))
        assert matching.objective[0, i] == pytest.approx(before, abs=1e-6 * after)
        assert matching.objective[-1, i] == pytest.approx(after, rel=1e-10)
        assert after > before


def test_a_network_counts_a_sweep_for_each_row_up_to_its_last_change() -> None:
    architecture = architecture_of(DEEP)
    matching = match(architecture, random_network(architecture, 10), random_networks(architecture, 6, 11))
    changed = np.diff(matching.objective, axis=0) > 0
    for i, sweeps in enumerate(matching.sweeps):
        assert changed[: sweeps - 1, i].all()
        assert not changed[sweeps - 1 :, i].any()


@pytest.mark.parametrize("seed", range(4))
def test_one_hidden_layer_is_matched_as_well_as_by_trying_all_orders(seed: int) -> None:
    architecture = architecture_of([3, 5, 2])
    reference, networks = random_network(architecture, seed), random_networks(architecture, 3, 100 + seed)
    matching = match(architecture, reference, networks)
    for i in range(3):
        scores = {
            order: (reference["layers.0.weight"] * networks["layers.0.weight"][i][list(order)]).sum()
            + (reference["layers.0.bias"] * networks["layers.0.bias"][i][list(order)]).sum()
            + (reference["layers.1.weight"] * networks["layers.1.weight"][i][:, list(order)]).sum()
            + (reference["layers.1.bias"] * networks["layers.1.bias"][i]).sum()
            for order in all_orders(range(5))
        }
        best = max(scores, key=scores.__getitem__)
        assert tuple(matching.permutations["hidden.0"][i]) == best
        assert matching.objective[-1, i] == pytest.approx(scores[best], rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_at_the_end_no_single_layer_can_be_matched_better(seed: int) -> None:
    architecture = architecture_of(DEEP)
    reference, networks = random_network(architecture, seed), random_networks(architecture, 4, 200 + seed)
    aligned = permute(
        networks,
        architecture.permutation_spec(),
        match(architecture, reference, networks).permutations,
    )
    for i in range(4):
        network = aligned.network(i)
        for layer in range(3):
            incoming, bias, outgoing = (
                f"layers.{layer}.weight",
                f"layers.{layer}.bias",
                f"layers.{layer + 1}.weight",
            )
            gains = (
                reference[incoming] @ network[incoming].T
                + np.outer(reference[bias], network[bias])
                + reference[outgoing].T @ network[outgoing]
            )
            places, units = linear_sum_assignment(gains, maximize=True)
            assert gains[places, units].sum() - np.trace(gains) <= 1e-9 * np.abs(gains).sum()


def test_the_number_of_sweeps_is_limited() -> None:
    architecture = architecture_of(DEEP)
    reference, networks = random_network(architecture, 12), random_networks(architecture, 6, 13)
    free = match(architecture, reference, networks)
    assert free.sweeps.max() > 2
    limited = match(architecture, reference, networks, iterations=2)
    assert limited.sweeps.max() == 2
    assert len(limited.objective) == 3
    np.testing.assert_allclose(limited.objective, free.objective[:3], rtol=1e-6)


def test_networks_in_groups_are_matched_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    architecture = architecture_of(DEEP)
    reference, networks = random_network(architecture, 30), random_networks(architecture, 5, 31)
    at_once = match(architecture, reference, networks)
    monkeypatch.setattr(git_rebasin, "GAINS_BYTES", 1)
    one_by_one = match(architecture, reference, networks)
    for name, orders in at_once.permutations.items():
        np.testing.assert_array_equal(one_by_one.permutations[name], orders)
    np.testing.assert_array_equal(one_by_one.sweeps, at_once.sweeps)
    np.testing.assert_allclose(one_by_one.objective, at_once.objective, rtol=1e-5)


def test_a_networks_matching_does_not_depend_on_the_others() -> None:
    architecture = architecture_of(DEEP)
    reference, networks = random_network(architecture, 14), random_networks(architecture, 6, 15)
    at_once = match(architecture, reference, networks, seed=1)
    for i in range(6):
        alone = match(architecture, reference, networks.select(slice(i, i + 1)), seed=1)
        assert alone.sweeps[0] == at_once.sweeps[i]
        for p, order in alone.permutations.items():
            np.testing.assert_array_equal(order[0], at_once.permutations[p][i])


def test_a_network_without_hidden_layers_has_nothing_to_match() -> None:
    architecture = architecture_of([4, 3])
    reference, networks = random_network(architecture, 16), random_networks(architecture, 2, 17)
    matching = match(architecture, reference, networks)
    assert matching.permutations == {}
    assert (matching.objective[0] == matching.objective[-1]).all()


def test_matching_leaves_its_input_alone() -> None:
    architecture = architecture_of(DEEP)
    reference, networks = random_network(architecture, 18), random_networks(architecture, 2, 19)
    copies = networks.map(lambda array: array.copy())
    match(architecture, reference, networks)
    for name, array in copies.items():
        np.testing.assert_array_equal(networks[name], array)


def test_norms_run_over_all_weights() -> None:
    networks = random_networks(architecture_of(DEEP), 3, 21)
    rows = np.concatenate([array.reshape(3, -1) for array in networks.values()], axis=1)
    np.testing.assert_allclose(squared_norms(networks), np.linalg.norm(rows, axis=1) ** 2, rtol=1e-12)


def test_progress_tells_sweeps_and_networks_that_still_change(
    progress_lines: pytest.LogCaptureFixture,
) -> None:
    architecture = architecture_of([3, 4, 5, 2])
    reference = random_network(architecture, seed=1)
    networks = random_networks(architecture, 3, seed=2)
    matching = match(architecture, reference, networks)
    last = progress_lines.messages[-1]
    # In each sweep at most two layers of every network that takes part.
    assert 6 <= int(last.split(",")[0].removeprefix("assignment ")) <= 2 * matching.sweeps.sum()
    assert f"sweep {matching.sweeps.max()} of at most 100, unmatched " in last


def residual_mlp(blocks: int = 6, stream: int = 24, hidden: int = 48) -> tuple[Network, PermutationSpec]:
    """Return a network of random weights whose blocks read and add to one stream, and its permutations."""
    spec: PermutationSpec = {"stem.weight": ("stream", None), "stem.bias": ("stream",)}
    shapes: dict[str, tuple[int, ...]] = {"stem.weight": (stream, 10), "stem.bias": (stream,)}
    for k in range(blocks):
        spec |= {f"up.{k}.weight": (f"hidden.{k}", "stream"), f"up.{k}.bias": (f"hidden.{k}",)}
        spec |= {f"down.{k}.weight": ("stream", f"hidden.{k}"), f"down.{k}.bias": ("stream",)}
        shapes |= {f"up.{k}.weight": (hidden, stream), f"up.{k}.bias": (hidden,)}
        shapes |= {f"down.{k}.weight": (stream, hidden), f"down.{k}.bias": (stream,)}
    spec |= {"head.weight": (None, "stream"), "head.bias": (None,)}
    shapes |= {"head.weight": (3, stream), "head.bias": (3,)}
    draws = np.random.default_rng(0)
    drawn = {name: draws.normal(size=shape) / np.sqrt(shape[-1]) for name, shape in shapes.items()}
    return {name: array.astype(np.float32) for name, array in drawn.items()}, spec


def resnet(kind: Literal["resnet20", "resnet18"], width: float) -> tuple[Network, PermutationSpec]:
    architecture = build(ResNetConfig(kind=kind, classes=10, width_multiplier=width))
    state = architecture.initial_state("default", torch_generator("zoo", 0))
    network = architecture.parameters_of(StackedNetworks.of_one(state).numpy()).network(0)
    return network, {name: axes for name, axes in architecture.permutation_spec().items() if name in network}


RESIDUAL = {
    "residual MLP": residual_mlp(),
    "ResNet-20": resnet("resnet20", 0.25),
    "ResNet-18": resnet("resnet18", 0.0625),
}


def shuffled_copies(network: Network, spec: PermutationSpec, n: int) -> Networks:
    draws = np.random.default_rng(1)
    counts = unit_counts({name: array.shape for name, array in network.items()}, spec)
    orders = {p: np.stack([draws.permutation(units) for _ in range(n)]) for p, units in counts.items()}
    copies = StackedNetworks({name: np.stack([array] * n) for name, array in network.items()})
    return permute(copies, spec, orders)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", RESIDUAL)
def test_shuffled_copies_of_a_residual_network_become_the_network_itself_whatever_the_seed(
    kind: str, seed: int
) -> None:
    network, spec = RESIDUAL[kind]
    copies = shuffled_copies(network, spec, n=3)
    matching = match_weights(network, copies, spec, 100, np.random.default_rng(seed))
    aligned = permute(copies, spec, matching.permutations)
    for name, array in network.items():
        np.testing.assert_array_equal(aligned[name], np.stack([array] * 3))


@pytest.mark.parametrize("kind", RESIDUAL)
def test_of_two_starts_the_better_end_is_kept_with_its_sweeps_and_objective(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, spec = RESIDUAL[kind]
    draws = np.random.default_rng(2)
    # Some are noisy copies in their right order, which evidence cannot tell; some have nothing in common.
    networks = StackedNetworks(
        {
            name: np.stack(
                [array + noise * array.std() * draws.normal(size=array.shape) for noise in (2, 4, 8, 16)]
                + [draws.permuted(array.ravel()).reshape(array.shape) for _ in range(4)]
            )
            for name, array in network.items()
        }
    )
    both = match_weights(network, networks, spec, 100, np.random.default_rng(0))
    assert (np.diff(both.objective, axis=0) >= 0).all()
    aligned = permute(networks, spec, both.permutations)
    products = [inner_product(network, aligned.network(i)) for i in range(8)]
    np.testing.assert_allclose(both.objective[-1], products, rtol=1e-6)
    for i, sweeps in enumerate(both.sweeps):
        assert (both.objective[sweeps - 1 :, i] == both.objective[-1, i]).all()
    monkeypatch.setattr(git_rebasin, "are_chains", lambda _: True)
    once = match_weights(network, networks, spec, 100, np.random.default_rng(0))
    assert (both.objective[-1] >= once.objective[-1]).all()
    assert (both.objective[-1] > once.objective[-1]).any(), "a second start is worth its time"
    kept = both.objective[-1] == once.objective[-1]
    assert kept.any(), "and the first one too"
    np.testing.assert_array_equal(both.sweeps[kept], once.sweeps[kept])


def test_permutations_of_mlps_are_chains_and_those_around_a_stream_are_not() -> None:
    assert are_chains(architecture_of(DEEP).permutation_spec())
    assert are_chains(architecture_of([3, 2]).permutation_spec())
    assert are_chains({"up": ("a", None), "down": (None, "a"), "other.up": ("b", None)})
    for _, spec in RESIDUAL.values():
        assert not are_chains(spec)
    assert not are_chains(residual_mlp(blocks=1)[1]), "one block is a loop of two parameters"
    assert not are_chains({"first": ("a", "trunk"), "second": ("b", "trunk"), "third": ("c", "trunk")})


def test_evidence_spreads_from_where_axes_are_not_permuted() -> None:
    network, spec = residual_mlp(blocks=2)
    order = evidence_order({name: array.shape for name, array in network.items()}, spec)
    assert list(order) == ["stream", "hidden.0", "hidden.1"]
    told_by = {"stem.weight", "stem.bias", "down.0.bias", "down.1.bias", "head.weight"}
    assert {name for name, _ in order["stream"]} == told_by
    assert order["hidden.1"] == [("up.1.weight", 0), ("up.1.bias", 0), ("down.1.weight", 1)]


@pytest.mark.parametrize("kind", RESIDUAL)
def test_networks_of_finite_weights_are_matched_however_large_these_are(kind: str) -> None:
    network, spec = RESIDUAL[kind]
    copies = shuffled_copies(network, spec, n=4)
    factors = np.array([1.0, 2.0**60, 2.0**110, 2.0**-110])
    scaled = copies.map(lambda array: array * factors.reshape(-1, *[1] * (array.ndim - 1)))
    for reference in (network, {name: array * 2.0**110 for name, array in network.items()}):
        matching = match_weights(reference, scaled, spec, 100, np.random.default_rng(0))
        norms = np.sqrt(squared_norms(scaled) * squared_norms(StackedNetworks.of_one(reference)))
        np.testing.assert_allclose(matching.objective[-1], norms, rtol=1e-6)
        aligned = permute(copies, spec, matching.permutations)
        for name, array in network.items():
            np.testing.assert_array_equal(aligned[name], np.stack([array] * 4))
