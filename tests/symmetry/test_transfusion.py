"""TransFusion keeps functions, undoes any permutation of heads and dimensions, and finds the best one."""

from itertools import permutations, product

import numpy as np
import pytest

from dwf_steps.architectures import build
from dwf_steps.config.architectures.bert import BertConfig
from dwf_steps.config.architectures.images import ViTConfig
from dwf_steps.config.canonicalization import Pairing, Transfusion
from dwf_steps.metrics.function_change import function_change
from dwf_steps.storage.stacked import NetworkState, StackedNetworks
from dwf_steps.symmetry.canonical import remove_symmetries
from dwf_steps.symmetry.permutation import permute
from dwf_steps.symmetry.spec import Attention, Projection, unit_counts
from dwf_steps.symmetry.transfusion import HeadOrders, match_attention, permute_attention

FAMILIES = {
    "vit": ViTConfig(kind="vit", image_size=8, width=12, depth=2, heads=3, mlp=10, classes=3),
    "bert": BertConfig(kind="bert", length=7, vocabulary=100, width=12, depth=2, heads=3, mlp=10, classes=3),
}
UNTOUCHED = {
    "vit": ("class_token", "conv_proj.weight", "encoder.pos_embedding", "encoder.ln.weight"),
    "bert": ("bert.embeddings.word_embeddings.weight", "bert.embeddings.LayerNorm.weight", "classifier.bias"),
}
N, HEADS, SIZE = 4, 3, 4
PAIRINGS: list[Pairing] = ["spectra", "weights"]
Networks = StackedNetworks[np.ndarray]


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def random_networks(family: str, n: int = N) -> Networks:
    draws = np.random.default_rng(0)
    return StackedNetworks(
        {e.name: draws.normal(size=(n, *e.shape)) for e in build(FAMILIES[family]).layout.entries}
    )


def probe(family: str) -> np.ndarray:
    draws, config = np.random.default_rng(2), FAMILIES[family]
    if isinstance(config, BertConfig):
        return draws.integers(config.vocabulary, size=(6, config.features)).astype(np.float32)
    return draws.normal(size=(6, config.features)).astype(np.float32)


def network(networks: Networks, i: int) -> NetworkState[np.ndarray]:
    return networks.network(i)


def random_orders(draws: np.random.Generator, n: int, heads: int = HEADS, size: int = SIZE) -> HeadOrders:
    """Return orders in which whole heads move, together for queries, keys and values."""
    orders = HeadOrders(*(np.empty((n, heads * size), dtype=int) for _ in range(2)))
    for i in range(n):
        for place, head in enumerate(draws.permutation(heads)):
            for order in (orders.query_key, orders.value):
                order[i, place * size : (place + 1) * size] = head * size + draws.permutation(size)
    return orders


def shuffled(family: str, networks: Networks) -> Networks:
    draws, architecture = np.random.default_rng(1), build(FAMILIES[family])
    n, spec = len(next(iter(networks.values()))), architecture.permutation_spec()
    for attention in architecture.attention_spec():
        networks = permute_attention(networks, attention, random_orders(draws, n))
    counts = unit_counts({name: array.shape[1:] for name, array in networks.items()}, spec)
    units = {name: np.stack([draws.permutation(count) for _ in range(n)]) for name, count in counts.items()}
    return permute(networks, spec, units)


def test_orders_of_heads_dimensions_and_units_change_no_function(family: str) -> None:
    architecture, networks = build(FAMILIES[family]), random_networks(family)
    moved = shuffled(family, networks)
    assert function_change(architecture, networks, moved, probe(family)).max() < 1e-9
    assert any(not np.array_equal(moved[name], networks[name]) for name in networks)
    broken = networks.map(lambda array: array.copy())
    query = broken[architecture.attention_spec()[0].query.weight]
    query[:, :12] = np.roll(query[:, :12], 1, axis=1)
    assert function_change(architecture, networks, broken, probe(family)).min() > 1e-3


@pytest.mark.parametrize("pairing", PAIRINGS)
def test_shuffled_copies_are_aligned_to_distance_zero(family: str, pairing: Pairing) -> None:
    reference = network(random_networks(family, 1), 0)
    copies = shuffled(
        family, StackedNetworks({name: np.stack([array] * N) for name, array in reference.items()})
    )
    found = remove_symmetries(
        build(FAMILIES[family]).symmetry_spec(), copies, reference, [Transfusion(heads=pairing)]
    ).networks
    for name, array in reference.items():
        np.testing.assert_allclose(found[name], np.stack([array] * N), rtol=1e-12)


@pytest.mark.parametrize("pairing", PAIRINGS)
def test_other_networks_keep_their_functions(family: str, pairing: Pairing) -> None:
    architecture, networks = build(FAMILIES[family]), random_networks(family)
    found = remove_symmetries(
        architecture.symmetry_spec(), networks, network(networks, 0), [Transfusion(heads=pairing)]
    )
    assert function_change(architecture, networks, found.networks, probe(family)).max() < 1e-9
    for name in UNTOUCHED[family]:
        np.testing.assert_array_equal(found.networks[name], networks[name])


def small_attention() -> tuple[Attention, Networks]:
    """Return separate projections of two heads of two dimensions, of two networks."""
    draws = np.random.default_rng(3)
    parts = [Projection(f"{name}.weight", f"{name}.bias") for name in ("query", "key", "value")]
    networks = StackedNetworks(out=draws.normal(size=(2, 5, 4)))
    for part in parts:
        networks |= {part.weight: draws.normal(size=(2, 4, 5)), part.bias: draws.normal(size=(2, 4))}
    return Attention(*parts, output="out", heads=2), networks


def closeness(networks: Networks, reference: Networks) -> float:
    return sum(float((array[0] * reference[name]).sum()) for name, array in networks.items())


def test_pairing_by_weights_is_the_best_of_all_orders() -> None:
    attention, networks = small_attention()
    reference, other = network(networks, 0), networks.select(slice(1, None))
    found = permute_attention(other, attention, match_attention(reference, other, attention, "weights"))
    swaps = list(permutations(range(2)))
    best = -np.inf
    for heads, *within in product(swaps, repeat=5):
        orders = [
            np.array(
                [[2 * heads[place] + within[2 * part + place][k] for place in range(2) for k in range(2)]]
            )
            for part in range(2)
        ]
        best = max(best, closeness(permute_attention(other, attention, HeadOrders(*orders)), reference))
    assert closeness(found, reference) == pytest.approx(best, rel=1e-12)
    assert closeness(found, reference) >= closeness(other, reference)


def test_heads_are_paired_by_their_singular_values() -> None:
    attention, networks = small_attention()
    reference, other = network(networks, 0), networks.select(slice(1, None))
    parts = (attention.query, attention.key, attention.value)

    def spectra(state: Networks, head: int) -> list[np.ndarray]:
        rows = slice(2 * head, 2 * head + 2)
        return [np.linalg.svd(state[part.weight][rows], compute_uv=False) for part in parts]

    own = network(other, 0)
    costs = [
        [
            sum(np.linalg.norm(a - b) for a, b in zip(spectra(reference, i), spectra(own, j), strict=True))
            for j in range(2)
        ]
        for i in range(2)
    ]
    straight = costs[0][0] + costs[1][1] <= costs[0][1] + costs[1][0]
    order = match_attention(reference, other, attention, "spectra").value[0] // 2
    assert order.tolist() == ([0, 0, 1, 1] if straight else [1, 1, 0, 0])
