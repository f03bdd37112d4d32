"""The barycentre: networks aligned to it are closer together than aligned to a network."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from dwf_steps.architectures import build
from dwf_steps.architectures.base import Architecture
from dwf_steps.config.architecture import MLPConfig, ResNetConfig, ViTConfig
from dwf_steps.config.canonicalization import GitRebasin, Matching, Method, Normalized, Pairing, Transfusion
from dwf_steps.metrics.function_change import function_change
from dwf_steps.storage.stacked import NetworkState, StackedNetworks
from dwf_steps.symmetry.barycentre import Barycentre, barycentre_of
from dwf_steps.symmetry.canonical import remove_symmetries
from dwf_steps.symmetry.permutation import permute
from dwf_steps.symmetry.spec import unit_counts
from dwf_steps.symmetry.transfusion import HeadOrders, permute_attention

Networks = StackedNetworks[np.ndarray]
N = 12
SHALLOW, DEEP = build(MLPConfig(widths=[4, 9, 3])), build(MLPConfig(widths=[4, 8, 7, 3]))
TO_MEAN = GitRebasin(target="barycentre", rounds=30)


def random_networks(architecture: Architecture, n: int = N, seed: int = 0) -> Networks:
    draws = np.random.default_rng(seed)
    return StackedNetworks({e.name: draws.normal(size=(n, *e.shape)) for e in architecture.layout.entries})


def network(networks: Networks, i: int) -> NetworkState[np.ndarray]:
    return networks.network(i)


def in_groups(networks: Networks, size: int = N) -> Callable[[], Iterator[Networks]]:
    n = len(next(iter(networks.values())))

    def groups() -> Iterator[Networks]:
        for start in range(0, n, size):
            yield networks.select(slice(start, start + size))

    return groups


def found(
    architecture: Architecture,
    networks: Networks,
    matching: Matching = TO_MEAN,
    before: tuple[Method, ...] = (),
    size: int = N,
) -> Barycentre:
    groups = in_groups(networks, size)
    return barycentre_of(architecture.symmetry_spec(), groups, network(networks, 0), list(before), matching)


def aligned(
    architecture: Architecture, networks: Networks, methods: list[Method], mean: Networks | None = None
) -> Networks:
    return remove_symmetries(
        architecture.symmetry_spec(), networks, network(networks, 0), methods, mean
    ).networks


def rows(architecture: Architecture, networks: Networks) -> np.ndarray:
    return np.concatenate([networks[e.name].reshape(-1, e.size) for e in architecture.layout.entries], axis=1)


def spread(architecture: Architecture, networks: Networks) -> float:
    weights = rows(architecture, networks)
    return float(np.sqrt(((weights - weights.mean(axis=0)) ** 2).sum(axis=1).mean()))


@pytest.mark.parametrize("architecture", [SHALLOW, DEEP])
def test_networks_come_closer_together_with_every_mean(architecture: Architecture) -> None:
    networks = random_networks(architecture)
    spreads = found(architecture, networks).spreads
    assert len(spreads) > 3
    assert (np.diff(spreads) <= 0).all() and (np.diff(spreads)[:-1] < 0).all()
    to_reference = aligned(architecture, networks, [GitRebasin()])
    assert spreads[0] == pytest.approx(spread(architecture, to_reference), rel=1e-12)
    for rounds in range(1, len(spreads)):
        matching = TO_MEAN.model_copy(update={"rounds": rounds})
        barycentre = found(architecture, networks, matching)
        np.testing.assert_array_equal(barycentre.spreads, spreads[: rounds + 1])
        closer = aligned(architecture, networks, [matching], barycentre.network)
        assert barycentre.spreads[-1] == pytest.approx(spread(architecture, closer), rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_with_one_hidden_layer_it_is_the_mean_of_what_is_aligned_to_it(seed: int) -> None:
    networks = random_networks(SHALLOW, seed=seed)
    barycentre = found(SHALLOW, networks).network
    mean = aligned(SHALLOW, networks, [TO_MEAN], barycentre).map(lambda array: array.mean(axis=0))
    for name, array in barycentre.items():
        np.testing.assert_allclose(array, mean[name], rtol=1e-12)


def test_the_first_mean_is_of_networks_aligned_to_the_reference() -> None:
    networks = random_networks(DEEP)
    one_round = found(DEEP, networks, TO_MEAN.model_copy(update={"rounds": 1}))
    for name, array in aligned(DEEP, networks, [GitRebasin()]).items():
        np.testing.assert_allclose(one_round.network[name], array.mean(axis=0), rtol=1e-12)


def test_where_no_mean_is_better_the_reference_is_matched() -> None:
    networks = random_networks(SHALLOW, n=1)
    networks = networks.map(lambda array: np.concatenate([array, array]))
    barycentre = found(SHALLOW, networks)
    assert len(barycentre.spreads) == 1
    for name, array in networks.items():
        np.testing.assert_array_equal(barycentre.network[name], array[0])


@pytest.mark.parametrize("size", [1, 5, 7])
def test_how_networks_are_grouped_plays_no_part(size: int) -> None:
    networks = random_networks(DEEP)
    at_once, apart = found(DEEP, networks), found(DEEP, networks, size=size)
    np.testing.assert_allclose(apart.spreads, at_once.spreads, rtol=1e-12)
    for name, array in at_once.network.items():
        np.testing.assert_allclose(apart.network[name], array, rtol=1e-9, atol=1e-12)


def test_methods_that_come_before_are_applied_first() -> None:
    networks = random_networks(DEEP)
    normalised = aligned(DEEP, networks, [Normalized()])
    expected = found(DEEP, normalised)
    barycentre = found(DEEP, networks, before=(Normalized(),))
    np.testing.assert_allclose(barycentre.spreads, expected.spreads, rtol=1e-12)
    for name, array in expected.network.items():
        np.testing.assert_allclose(barycentre.network[name], array, rtol=1e-9, atol=1e-12)
    assert not np.isclose(expected.spreads[-1], found(DEEP, networks).spreads[-1])


def test_it_has_the_networks_dtype_and_they_are_aligned_to_it_as_stored() -> None:
    networks = random_networks(DEEP).map(lambda array: array.astype(np.float32))
    barycentre = found(DEEP, networks)
    assert {array.dtype for array in barycentre.network.values()} == {np.dtype(np.float32)}
    closer = aligned(DEEP, networks, [TO_MEAN], barycentre.network)
    assert barycentre.spreads[-1] == pytest.approx(spread(DEEP, closer), rel=1e-12)


def test_the_reference_is_aligned_like_every_network() -> None:
    networks = random_networks(DEEP)
    canonical = remove_symmetries(
        DEEP.symmetry_spec(),
        networks,
        network(networks, 3),
        [TO_MEAN, Normalized()],
        found(DEEP, networks).network,
    )
    for name, array in canonical.reference.items():
        np.testing.assert_array_equal(canonical.networks[name][3], array)
    assert any(not np.allclose(canonical.reference[name], array[3]) for name, array in networks.items())


def test_no_function_changes() -> None:
    networks = random_networks(DEEP)
    closer = aligned(DEEP, networks, [TO_MEAN], found(DEEP, networks).network)
    probe = np.random.default_rng(9).normal(size=(40, 4)).astype(np.float32)
    assert function_change(DEEP, networks, closer, probe).max() < 1e-12


def test_matching_to_a_barycentre_needs_one() -> None:
    networks = random_networks(DEEP)
    with pytest.raises(ValueError, match="git_rebasin matches to a barycentre, but none was given"):
        aligned(DEEP, networks, [TO_MEAN])


def shuffled(architecture: Architecture, networks: Networks, seed: int = 1) -> Networks:
    draws, spec = np.random.default_rng(seed), architecture.permutation_spec()
    n = len(next(iter(networks.values())))
    counts = unit_counts({name: array.shape[1:] for name, array in networks.items()}, spec)
    orders = {p: np.stack([draws.permutation(units) for _ in range(n)]) for p, units in counts.items()}
    return permute(networks, spec, orders)


@pytest.mark.parametrize("widths", [[4, 9, 3], [8, 16, 12, 5]])
def test_shuffled_copies_of_a_network_are_aligned_to_distance_zero(widths: list[int]) -> None:
    architecture = build(MLPConfig(widths=widths))
    one = random_networks(architecture, n=1)
    copies = shuffled(
        architecture, StackedNetworks({name: np.repeat(array, N, axis=0) for name, array in one.items()})
    )
    barycentre = found(architecture, copies)
    assert barycentre.spreads[-1] < 1e-6
    closer = aligned(architecture, copies, [TO_MEAN], barycentre.network)
    for array in closer.values():
        np.testing.assert_array_equal(array, np.repeat(array[:1], N, axis=0))


@pytest.mark.parametrize("seed", range(3))
def test_shuffled_networks_of_one_hidden_layer_lie_as_close_together(seed: int) -> None:
    networks = random_networks(SHALLOW)
    # The reference alone decides where the rounds begin.
    others = networks.select(slice(1, None))
    moved = shuffled(SHALLOW, others, seed)
    moved = StackedNetworks(
        {name: np.concatenate([networks[name][:1], array]) for name, array in moved.items()}
    )
    np.testing.assert_allclose(found(SHALLOW, moved).spreads, found(SHALLOW, networks).spreads, rtol=1e-12)


@pytest.mark.parametrize("pairing", ["spectra", "weights"])
def test_shuffled_heads_of_a_family_are_matched_by_their_mean(pairing: Pairing) -> None:
    architecture = build(ViTConfig(kind="vit", image_size=8, width=12, depth=2, heads=3, mlp=10, classes=3))
    networks, draws = random_networks(architecture, n=6), np.random.default_rng(1)
    family = networks.map(lambda array: array[:1] + 0.5 * array)
    shuffled_heads = family
    for attention in architecture.attention_spec():
        heads = np.stack([draws.permutation(3) for _ in range(6)]).repeat(4, axis=1) * 4 + np.tile(
            range(4), 3
        )
        shuffled_heads = permute_attention(shuffled_heads, attention, HeadOrders(heads, heads))
    matching = Transfusion(target="barycentre", heads=pairing)
    barycentre = found(architecture, shuffled_heads, matching)
    closer = aligned(architecture, shuffled_heads, [matching], barycentre.network)
    for at_once in (barycentre.spreads[-1], spread(architecture, closer)):
        assert at_once == pytest.approx(spread(architecture, family), rel=1e-9)
    assert spread(architecture, shuffled_heads) > 1.1 * spread(architecture, family)


def test_running_statistics_move_along_and_are_averaged() -> None:
    architecture = build(ResNetConfig(kind="resnet20", width_multiplier=0.15, image_size=4, classes=3))
    draws = np.random.default_rng(0)
    networks = random_networks(architecture, n=4)
    networks |= {
        name: draws.random((4, *architecture.shapes[name]))
        if ".running_" in name
        else np.full((4, *architecture.shapes[name]), 7)
        for name in architecture.buffers
    }
    barycentre = found(architecture, networks).network
    one_round = found(architecture, networks, TO_MEAN.model_copy(update={"rounds": 1})).network
    to_reference = aligned(architecture, networks, [GitRebasin()])
    assert barycentre.keys() == networks.keys()
    for name in architecture.buffers:
        np.testing.assert_allclose(one_round[name], to_reference[name].mean(axis=0), rtol=1e-12)
        assert barycentre[name].dtype == networks[name].dtype
