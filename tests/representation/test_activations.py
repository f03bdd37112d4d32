"""What units respond: recomputed, and networks of every kind aligned by it."""

from itertools import permutations as all_orders
from itertools import product

import numpy as np
import pytest
import torch
from response_cases import networks_of, own, probes_of
from torch import nn

from dwf_steps.architectures import build
from dwf_steps.architectures.base import Architecture
from dwf_steps.config.architecture import MLPConfig, ResNetConfig
from dwf_steps.config.canonicalization import ActivationMatching, GitRebasin, Method, Normalized
from dwf_steps.datasets.probes import choose_probes
from dwf_steps.datasets.splits import Split
from dwf_steps.metrics.function_change import function_change
from dwf_steps.representation import responses as responses_module
from dwf_steps.representation.activations import UnitResponses, layers_of_units
from dwf_steps.runtime.errors import InputError
from dwf_steps.storage.stacked import NetworkState, StackedNetworks
from dwf_steps.symmetry.barycentre import barycentre_of
from dwf_steps.symmetry.canonical import remove_symmetries
from dwf_steps.symmetry.permutation import permute
from dwf_steps.symmetry.spec import unit_counts

Networks = StackedNetworks[np.ndarray]
M, N = 60, 5
SMALL = build(MLPConfig(widths=[6, 4, 3, 3]))
CASES = {
    "MLP": build(MLPConfig(widths=[6, 8, 7, 3])),
    "MLP of tanh": build(MLPConfig(widths=[6, 8, 7, 3], activation="tanh")),
    "own CNN": own("own_networks:SmallCNN", (3, 4, 4)),
    "ResNet-20": build(ResNetConfig(kind="resnet20", width_multiplier=0.25, image_size=8, classes=4)),
}
METHODS = [
    ActivationMatching(probes=M, compare=compare, measure=measure)
    for compare in ("activations", "pre_activations")
    for measure in ("distance", "correlation")
]


def train_of(architecture: Architecture, m: int = M) -> Split:
    return Split(probes_of(architecture, m).numpy(), np.zeros(m, dtype=int))


def responding_of(architecture: Architecture, method: ActivationMatching) -> UnitResponses:
    return UnitResponses(architecture, method, train_of(architecture))


def responses_of(architecture: Architecture, method: ActivationMatching, networks: Networks) -> Networks:
    return StackedNetworks.stack(
        [
            one.network(i)
            for one in responding_of(architecture, method).of(networks)
            for i in range(one.count)
        ],
        np.stack,
    )


def arrays_of(architecture: Architecture, n: int = N) -> Networks:
    return networks_of(architecture, n).numpy()


def shuffled(architecture: Architecture, networks: Networks, seed: int) -> Networks:
    draws, spec = np.random.default_rng(seed), architecture.permutation_spec()
    counts = unit_counts({name: array.shape[1:] for name, array in networks.items()}, spec)
    n = networks.count
    orders = {p: np.stack([draws.permutation(units) for _ in range(n)]) for p, units in counts.items()}
    return permute(networks, spec, orders)


def aligned(
    architecture: Architecture, networks: Networks, reference: NetworkState[np.ndarray], *methods: Method
) -> Networks:
    (method,) = (each for each in methods if isinstance(each, ActivationMatching))
    responding = responding_of(architecture, method)
    spec = architecture.symmetry_spec()
    return remove_symmetries(spec, networks, reference, list(methods), responding=responding).networks


def hidden(network: NetworkState[np.ndarray], inputs: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return pre-activations and activations (m, units) of a ReLU network of two hidden layers."""
    found, after = {}, inputs
    for layer in ("layers.0", "layers.1"):
        before = after @ network[f"{layer}.weight"].T + network[f"{layer}.bias"]
        after = np.maximum(before, 0)
        found[f"{layer}.responses"] = before, after
    return found


def activations(network: NetworkState[np.ndarray], inputs: np.ndarray) -> list[np.ndarray]:
    return [after for _, after in hidden(network, inputs).values()]


def probes_in_order(architecture: Architecture) -> np.ndarray:
    """Return the probes, in float64, as networks are asked them."""
    return choose_probes(train_of(architecture), M, 0).inputs.astype(float)


def test_activations_are_what_the_next_layer_receives_with_traces_of_what_they_are_made_of() -> None:
    networks, inputs = arrays_of(SMALL), probes_in_order(SMALL)
    found = responses_of(SMALL, METHODS[0], networks)
    assert list(found) == ["layers.0.responses", "layers.1.responses"]
    for i, name in product(range(N), found):
        before, after = hidden(networks.network(i), inputs)[name]
        np.testing.assert_allclose(found[name][i, :M], after, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found[name][i, M:], before / 1024, rtol=1e-4, atol=1e-7)


def test_halved_squared_distances_of_standardised_responses_are_one_minus_correlations() -> None:
    networks = arrays_of(SMALL)
    plain, standard = (responses_of(SMALL, METHODS[i], networks)["layers.1.responses"] for i in (2, 3))
    first, second = plain[0], plain[1]
    expected = np.corrcoef(first.T, second.T)[: first.shape[1], first.shape[1] :]
    apart = ((standard[0][:, :, None] - standard[1][:, None, :]) ** 2).sum(axis=0)
    np.testing.assert_allclose(1 - apart / 2, expected, atol=1e-5)


def test_a_unit_that_does_not_vary_correlates_with_none() -> None:
    networks = arrays_of(SMALL)
    networks["layers.0.weight"][:, 1] = 0
    networks["layers.0.bias"][:, 1] = 0.1
    found = responses_of(SMALL, METHODS[3], networks)["layers.0.responses"]
    assert (found[:, :, 1] == 0).all()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1)[:, [0, 2, 3]], 1, rtol=1e-5)


@pytest.mark.parametrize("compare", ["activations", "pre_activations"])
def test_batch_normalised_layers_respond_what_the_normalisation_yields(compare: str) -> None:
    architecture = CASES["ResNet-20"]
    networks = arrays_of(architecture, 2)
    method = ActivationMatching(probes=M, positions=64, compare=compare)
    found = responses_of(architecture, method, networks)
    seen: dict[str, torch.Tensor] = {}
    module: nn.Module = architecture.module().eval()
    module.load_state_dict({name: torch.as_tensor(array) for name, array in networks.network(1).items()})
    norms = {"conv1": "bn1", "layer1.0.conv1": "layer1.0.bn1", "layer2.1.conv2": "layer2.1.bn2"}
    norms["layer2.0.downsample.0"] = "layer2.0.downsample.1"
    for norm in norms.values():
        module.get_submodule(norm).register_forward_hook(
            lambda _module, _inputs, outputs, norm=norm: seen.update({norm: outputs.clone()})
        )
    with torch.no_grad():
        module(torch.from_numpy(probes_in_order(architecture)).float().view(-1, 3, 8, 8))
    for layer, norm in norms.items():
        followed = layer in ("conv1", "layer1.0.conv1") and compare == "activations"
        outputs = seen[norm].permute(0, 2, 3, 1).flatten(0, 2).numpy()  # (m * positions, units)
        expected = np.concatenate([np.maximum(outputs, 0), outputs / 1024]) if followed else outputs
        got = found[f"{layer}.responses"][1]
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)


def test_all_layers_that_yield_a_residual_stream_are_compared() -> None:
    spec = responding_of(CASES["ResNet-20"], METHODS[0]).spec
    second = {name.removesuffix(".responses") for name, axes in spec.items() if axes[1] == "stream2"}
    assert second == {"layer2.0.downsample.0", *(f"layer2.{i}.conv2" for i in range(3))}
    assert {axes[1] for axes in spec.values()} == {
        p for axes in CASES["ResNet-20"].permutation_spec().values() for p in axes if p is not None
    }


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("method", METHODS, ids=lambda method: f"{method.compare}-{method.measure}")
@pytest.mark.parametrize("case", CASES)
def test_shuffled_copies_become_the_reference(case: str, method: ActivationMatching, seed: int) -> None:
    architecture = CASES[case]
    reference = arrays_of(architecture, seed + 1).network(seed)
    copies = StackedNetworks({name: np.stack([array] * N) for name, array in reference.items()})
    moved = shuffled(architecture, copies, seed)
    assert any(not np.array_equal(moved[name], array) for name, array in copies.items())
    found = aligned(architecture, moved, reference, method)
    for name, array in copies.items():
        np.testing.assert_array_equal(found[name], array)


def test_units_that_never_fire_are_told_apart() -> None:
    reference = arrays_of(SMALL, 1).network(0)
    reference["layers.0.bias"][:3] = -100
    copies = StackedNetworks({name: np.stack([array] * 24) for name, array in reference.items()})
    orders = {"hidden.0": np.array(list(all_orders(range(4)))), "hidden.1": np.tile(range(3), (24, 1))}
    found = aligned(SMALL, permute(copies, SMALL.permutation_spec(), orders), reference, METHODS[0])
    assert (hidden(reference, probes_in_order(SMALL))["layers.0.responses"][1][:, :3] == 0).all()
    for name, array in copies.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("case", CASES)
def test_networks_end_the_same_whatever_order_their_units_are_in(case: str) -> None:
    architecture = CASES[case]
    networks = arrays_of(architecture)
    expected = aligned(architecture, networks, networks.network(0), METHODS[0])
    found = aligned(architecture, shuffled(architecture, networks, 1), networks.network(0), METHODS[0])
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("case", CASES)
def test_no_function_changes(case: str) -> None:
    architecture = CASES[case]
    networks = arrays_of(architecture)
    found = aligned(architecture, networks, networks.network(0), METHODS[0])
    assert any(not np.array_equal(found[name], array) for name, array in networks.items())
    assert function_change(architecture, networks, found, train_of(architecture, 20).inputs).max() < 1e-9


def test_no_order_of_a_networks_units_has_closer_activations_where_weights_would_be_matched_otherwise() -> (
    None
):
    networks, inputs = arrays_of(SMALL), np.float64(train_of(SMALL).inputs)
    reference, spec = networks.network(0), SMALL.permutation_spec()
    wanted = activations(reference, inputs)

    def squared(some: Networks) -> np.ndarray:
        """Return the squared distances of both layers' activations, (n,), of networks run again."""
        return np.array(
            [
                sum(
                    ((a - b) ** 2).sum()
                    for a, b in zip(activations(some.network(i), inputs), wanted, strict=True)
                )
                for i in range(some.count)
            ]
        )

    every = []
    for first, second in product(all_orders(range(4)), all_orders(range(3))):
        orders = {"hidden.0": np.tile(first, (N, 1)), "hidden.1": np.tile(second, (N, 1))}
        every.append(squared(permute(networks, spec, orders)))
    found = squared(aligned(SMALL, networks, reference, METHODS[0]))
    np.testing.assert_allclose(found, np.min(every, axis=0), rtol=1e-5)
    by_weights = squared(
        remove_symmetries(SMALL.symmetry_spec(), networks, reference, [GitRebasin()]).networks
    )
    assert (by_weights > found + 1e-3).sum() >= 2


def test_methods_before_change_what_is_compared() -> None:
    networks = arrays_of(SMALL)
    normalised = remove_symmetries(
        SMALL.symmetry_spec(), networks, networks.network(0), [Normalized()]
    ).networks
    expected = aligned(SMALL, normalised, normalised.network(0), METHODS[0])
    found = aligned(SMALL, networks, networks.network(0), Normalized(), METHODS[0])
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-12)


def test_how_many_networks_are_run_at_a_time_plays_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    architecture = CASES["own CNN"]
    networks = arrays_of(architecture)
    at_once = responses_of(architecture, METHODS[0], networks)
    monkeypatch.setattr(responses_module, "RESPONSES_BYTES", 1)
    assert len(list(responding_of(architecture, METHODS[0]).of(networks))) == N
    for name, array in responses_of(architecture, METHODS[0], networks).items():
        np.testing.assert_allclose(array, at_once[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", ["MLP", "ResNet-20"])
def test_shuffled_members_of_a_family_find_each_other_at_their_barycentre(case: str) -> None:
    architecture = CASES[case]
    one, others = arrays_of(architecture, 1), arrays_of(architecture)
    family = StackedNetworks(
        {
            name: one[name] + (0.02 * (array - array.mean(axis=0)) if array.dtype.kind == "f" else 0 * array)
            for name, array in others.items()
        }
    )
    moved = shuffled(architecture, family, 2)
    moved = StackedNetworks(
        {name: np.concatenate([family[name][:1], array]) for name, array in moved.items()}
    )
    method = ActivationMatching(probes=M, target="barycentre")
    responding, spec = responding_of(architecture, method), architecture.symmetry_spec()
    found = barycentre_of(spec, lambda: [moved], moved.network(0), [], method, responding)
    assert (np.diff(found.spreads) <= 0).all()
    together = remove_symmetries(spec, moved, moved.network(0), [method], found.network, responding).networks
    for name, array in family.items():
        np.testing.assert_array_equal(together[name][1:], array)


def test_more_probes_than_examples_are_refused() -> None:
    with pytest.raises(InputError, match="probes: found 61, but the data have 60 training examples"):
        responding_of(SMALL, ActivationMatching(probes=61))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: f"{method.compare}-{method.measure}")
def test_responses_that_overflow_are_refused_with_layer_and_network(method: ActivationMatching) -> None:
    networks = arrays_of(SMALL)
    networks["layers.0.weight"][2, 0] = 1e38
    with pytest.raises(InputError, match=r"layers\.0\.responses: network 2 \(from 0\) of the 5 that are"):
        responses_of(SMALL, method, networks)


def test_a_layer_that_runs_twice_is_refused_and_git_rebasin_named() -> None:
    with pytest.raises(InputError, match=r"used more than once .*; use the canonicalization git_rebasin"):
        layers_of_units(own("own_networks:used_twice"))


def test_units_that_no_layer_yields_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    architecture = build(MLPConfig(widths=[6, 4, 3]))
    spec = architecture.permutation_spec() | {"layers.0.weight": ("hidden.0", "inputs")}
    monkeypatch.setattr(architecture, "permutation_spec", lambda: spec)
    with pytest.raises(
        InputError, match=r"no layer was found that yields the units of inputs: .*git_rebasin"
    ):
        layers_of_units(architecture)
