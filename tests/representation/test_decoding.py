"""Decoded networks respond as their coordinates say."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from response_cases import architecture_of, capture_of, networks_of, own, probes_of
from scipy import optimize
from torch import Tensor
from torch.nn import functional as F

from dwf_steps.architectures.base import Architecture
from dwf_steps.architectures.batch_norm import recompute_statistics
from dwf_steps.representation import decoding as decoding_module
from dwf_steps.representation import responses as responses_module
from dwf_steps.representation.capture import Capture
from dwf_steps.representation.decoding import Decoder, Problem
from dwf_steps.representation.layers import Layer, Normalisation
from dwf_steps.representation.matching import NextInputLoss, SoftmaxLoss
from dwf_steps.representation.responses import ResponseBasis, Sketches, encode
from dwf_steps.representation.tracing import trace
from dwf_steps.storage.stacked import StackedNetworks

TINY = 1e-12
EXACT: dict[str, Any] = {"ridge": TINY}


def basis_of(capture: Capture, networks: StackedNetworks[Tensor], functions: int = 1000) -> ResponseBasis:
    sketches = Sketches(capture, trace(capture.architecture), functions, seed=0)
    sketches.add(networks)
    shapes: Mapping[str, tuple[int, ...]] = {e.name: e.shape for e in capture.architecture.layout.entries}
    return sketches.basis(shapes, networks.select([0]))


def buffers_of(architecture: Architecture, n: int) -> StackedNetworks[Tensor]:
    """As of new networks."""
    network = networks_of(architecture, 1)
    found = network.only(architecture.buffers).map(lambda value: value.expand(n, *value.shape[1:]).clone())
    for name, value in found.items():
        if value.is_floating_point():
            found[name] = torch.ones_like(value)
    return found


def decoded(
    capture: Capture,
    basis: ResponseBasis,
    coordinates: Tensor,
    **decoder: Any,
) -> StackedNetworks[Tensor]:
    buffers = buffers_of(capture.architecture, len(coordinates))
    return Decoder(capture, basis, **decoder).decode(coordinates, buffers)


def noise(like: Tensor) -> Tensor:
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(7), dtype=like.dtype)


def there_and_back(
    capture: Capture, networks: StackedNetworks[Tensor], **decoder: Any
) -> StackedNetworks[Tensor]:
    basis = basis_of(capture, networks)
    return decoded(capture, basis, encode(capture, basis, networks)[0], **EXACT | decoder)


@pytest.mark.parametrize("matching", ["activations", "pre_activations"])
def test_a_linear_network_decodes_exactly(matching: str) -> None:
    """With more probes than inputs, and no layer wider than what it reads, all weights are determined."""
    architecture = own("traced_networks:linear")
    networks, capture = networks_of(architecture), capture_of(architecture, m=40)
    found = there_and_back(capture, networks, matching=matching)
    for name, value in networks.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-4, msg=name)


def test_some_probes_are_observed_where_all_are_and_describe_the_same_responses() -> None:
    architecture = architecture_of("Convolutions")
    networks, capture = networks_of(architecture), capture_of(architecture, positions=3, m=20)
    basis = basis_of(capture, networks)
    coordinates = encode(capture, basis, networks)[0]
    chosen = torch.arange(20) % 3 == 1
    part, functions = capture.only(chosen), basis.only(chosen)
    decoders = Decoder(capture, basis), Decoder(part, functions)
    assert functions.layout == basis.layout
    for layer in basis.trace.layers:
        assert torch.equal(part.places(layer), capture.places(layer)[chosen])
        whole, found = (decoder.target(layer, coordinates) for decoder in decoders)
        torch.testing.assert_close(found, whole.unflatten(1, (20, -1))[:, chosen].flatten(1, 2))
        inputs = capture.inputs(networks, layer, slice(None)).unflatten(2, (20, -1))[:, :, chosen]
        torch.testing.assert_close(part.inputs(networks, layer, slice(None)), inputs.flatten(2, 3))


CASES = {
    "MLP": {"m": 60},
    "own_networks:deep_batch_norm": {"m": 60},
    "ViT": {"m": 30},
    "BERT": {"m": 30},
    "Convolutions": {"m": 15},
    "Attending": {"m": 30},
}


def case_of(case: str) -> tuple[Architecture, StackedNetworks[Tensor], Capture]:
    architecture = own(case, (3, 6, 6)) if ":" in case else architecture_of(case)
    networks = networks_of(architecture)
    capture = Capture(architecture, probes_of(architecture, CASES[case]["m"]), 10**6, seed=3)
    if architecture.buffers:
        networks = recompute_statistics(architecture, networks, capture.probes, 1000)
    return architecture, networks, capture


@pytest.mark.filterwarnings("ignore:Using padding")
@pytest.mark.parametrize("matching", ["activations", "pre_activations"])
@pytest.mark.parametrize("case", CASES)
def test_training_networks_decode_to_the_same_function_where_functions_span_everything(
    case: str, matching: str
) -> None:
    architecture, networks, capture = case_of(case)
    found = there_and_back(capture, networks, matching=matching)
    assert set(found) == set(networks)
    expected = architecture.forward(networks, capture.probes)
    error = (architecture.forward(found, capture.probes) - expected).abs().max()
    assert error < 5e-3 * expected.std()


@pytest.mark.parametrize("deep", [0, 1000])
@pytest.mark.parametrize("case", ["own_networks:deep_batch_norm"])
def test_running_statistics_are_those_of_what_goes_into_each_normalisation(
    case: str, deep: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding_module, "DEEP", deep)
    architecture, networks, capture = case_of(case)
    basis = basis_of(capture, networks, functions=5)
    coordinates = encode(capture, basis, networks)[0]
    found = decoded(capture, basis, coordinates + 0.1 * noise(coordinates))
    m = len(capture.probes)
    # Layer by layer: each is normalised by the exact statistics of all probes.
    expected = recompute_statistics(architecture, found, capture.probes, m)
    for step in basis.trace.steps:
        if isinstance(step, Normalisation):
            torch.testing.assert_close(found[step.mean], expected[step.mean], rtol=1e-3, atol=1e-4)
            torch.testing.assert_close(found[step.variance], expected[step.variance], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("one_pass", [False, True])
@pytest.mark.parametrize("case", ["MLP", "own_networks:deep_batch_norm", "ViT", "BERT"])
def test_decoding_does_not_depend_on_how_samples_and_probes_are_divided(
    case: str, one_pass: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    architecture, networks, capture = case_of(case)
    basis = basis_of(capture, networks, functions=6)
    coordinates = encode(capture, basis, networks)[0]
    samples = coordinates + 0.1 * coordinates.std(0) * noise(coordinates)
    monkeypatch.setattr(decoding_module, "DEEP", 1000)
    whole = decoded(capture, basis, samples)
    if one_pass:
        monkeypatch.setattr(decoding_module, "DEEP", 0)
    monkeypatch.setattr(responses_module, "RESPONSES_BYTES", 4 * architecture.widest * 7)
    assert len(responses_module.probe_blocks(capture, 1)) > 3
    one_by_one = [decoded(capture, basis, samples[i : i + 1]) for i in range(len(samples))]
    outputs = architecture.forward(whole, capture.probes)
    for i, one in enumerate(one_by_one):
        found = architecture.forward(one, capture.probes)[0]
        assert (found - outputs[i]).abs().max() < 1e-2 * outputs[i].std()
        for name, value in one.items():
            if value.is_floating_point():
                scale = whole[name][i].abs().max() + 1e-3
                assert (value[0] - whole[name][i]).abs().max() < 0.02 * scale, name


@pytest.mark.parametrize("deep", [0, 1000])
@pytest.mark.parametrize("case", ["MLP", "Convolutions"])
def test_layers_that_read_the_data_are_solved_once_for_all_networks(
    case: str, deep: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding_module, "DEEP", deep)
    _, networks, capture = case_of(case)
    basis = basis_of(capture, networks, functions=6)
    coordinates = encode(capture, basis, networks)[0]
    first, second, *_ = basis.trace.layers
    decoder, read, inputs_of = Decoder(capture, basis), list[str](), capture.inputs

    def counting(networks: StackedNetworks[Tensor], layer: Layer, probes: slice) -> Tensor:
        read.append(layer.name)
        return inputs_of(networks, layer, probes)

    monkeypatch.setattr(capture, "inputs", counting)
    buffers = buffers_of(capture.architecture, len(coordinates))
    before = decoder.decode_before(second, coordinates, buffers)
    for i in range(len(coordinates)):
        alone = decoder.decode(coordinates[[i]], buffers.select([i]))
        torch.testing.assert_close(alone[first.weight][0], before[first.weight][i])
    assert read.count(first.name) == 1
    problem = Problem(
        [first.with_ones(inputs_of(networks, first, slice(None)).double())], 1e-3, first.bias is not None
    )
    target = decoder.target(first, coordinates).unflatten(2, (first.groups, -1)).transpose(1, 2)
    solution = problem.least_squares(target).mT.flatten(1, 2)[..., : first.fan_in]
    torch.testing.assert_close(before[first.weight].flatten(2).double(), solution, rtol=1e-4, atol=1e-5)


def test_dead_units_constant_inputs_and_fewer_probes_than_inputs_decode() -> None:
    architecture = architecture_of("MLP")
    networks, capture = networks_of(architecture), capture_of(architecture, m=60)
    networks["layers.0.bias"][0, 1] = -1000  # dead
    networks["layers.0.bias"][1, :] = -1000  # all of them
    networks["layers.0.bias"][2, 2] = 1000  # hardly varies
    capture.probes[:, 3] = 1.5  # constant
    capture.probes[:, 4] = 0
    for m in (60, 3, 1):
        some = Capture(architecture, capture.probes[:m], 1, seed=3)
        for matching in ("activations", "pre_activations"):
            found = there_and_back(some, networks, matching=matching, ridge=1e-9)
            assert all(value.isfinite().all() for value in found.values())
            outputs, expected = (architecture.forward(each, some.probes) for each in (found, networks))
            difference = (outputs.softmax(-1) - expected.softmax(-1)).abs().max()
            assert difference < 2e-2, (m, matching)


def test_inputs_that_never_vary_get_no_weight() -> None:
    """The ridge decides what the data do not."""
    architecture = architecture_of("MLP")
    networks, capture = networks_of(architecture), capture_of(architecture, m=60)
    capture.probes[:, 4] = 0
    found = there_and_back(capture, networks)
    torch.testing.assert_close(found["layers.0.weight"][:, :, 4], torch.zeros(3, 5))
    rest = [0, 1, 2, 3, 5]
    torch.testing.assert_close(
        found["layers.0.weight"][:, :, rest], networks["layers.0.weight"][:, :, rest], rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("matching", ["activations", "pre_activations"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e38])
@pytest.mark.parametrize("case", ["MLP", "own_networks:deep_batch_norm", "ViT"])
def test_a_sample_that_is_not_finite_leaves_the_others_alone(case: str, value: float, matching: Any) -> None:
    _, networks, capture = case_of(case)
    basis = basis_of(capture, networks, functions=6)
    samples = encode(capture, basis, networks)[0]
    expected = decoded(capture, basis, samples, matching=matching)
    broken = samples.clone()
    broken[1] = value
    found = decoded(capture, basis, broken, matching=matching)
    for name, values in expected.items():
        if values.is_floating_point():
            torch.testing.assert_close(found[name][[0, 2]], values[[0, 2]], rtol=1e-4, atol=1e-5)
    if value != 1e38:
        assert not all(values[1].isfinite().all() for values in found.values())
    broken[1], broken[0] = samples[1], value  # the first one, whose inputs stand for all
    found = decoded(capture, basis, broken, matching=matching)
    for name, values in expected.items():
        if values.is_floating_point():
            torch.testing.assert_close(found[name][1:], values[1:], rtol=1e-4, atol=1e-5)


def problem(
    n: int = 4, rows: int = 50, fan_in: int = 6, units: int = 5, groups: int = 2
) -> tuple[Tensor, Tensor]:
    draws = torch.Generator().manual_seed(5)
    inputs = torch.randn(n, groups, rows, fan_in, generator=draws, dtype=torch.float64)
    target = 2 * torch.randn(n, groups, rows, units, generator=draws, dtype=torch.float64)
    return inputs, target


def test_least_squares_are_those_of_the_normal_equations() -> None:
    inputs, target = problem()
    ones = torch.cat([inputs, torch.ones_like(inputs[..., :1])], dim=-1)
    found = Problem([ones[:, :, :20], ones[:, :, 20:]], 0.1, True).least_squares(target)
    for i in range(4):
        for group in range(2):
            a, t = ones[i, group].numpy(), target[i, group].numpy()
            strength = 0.1 * np.square(a[:, :-1]).sum(0).mean()
            padded = np.concatenate([a, strength**0.5 * np.eye(7)[:-1]])  # the bias is not penalised
            expected = np.linalg.lstsq(padded, np.concatenate([t, np.zeros((6, 5))]), rcond=None)[0]
            np.testing.assert_allclose(found[i, group].numpy(), expected, atol=1e-9)


def test_inputs_shared_by_all_networks_are_solved_as_if_each_had_them() -> None:
    inputs, target = problem()
    shared = inputs[:1]
    together = Problem([shared], 0.1, False).least_squares(target)
    each = Problem([shared.expand(4, -1, -1, -1)], 0.1, False).least_squares(target)
    torch.testing.assert_close(together, each)


LOSSES = {
    "relu": NextInputLoss(F.relu),
    "gelu": NextInputLoss(F.gelu),
    "tanh": NextInputLoss(torch.tanh, 1.7, 0.3),
    "softmax": SoftmaxLoss(),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_reweighted_least_squares_never_increase_the_loss(name: str, seed: int) -> None:
    inputs, target = problem()
    loss = LOSSES[name]
    solver = Problem([inputs], 1e-6, False)
    start = (
        solver.least_squares(target * (1 + seed))
        if seed < 2
        else torch.zeros(4, 2, 6, 5, dtype=torch.float64)
    )
    values = [
        loss.value(
            inputs @ solver.reweighted(start, target * (1 + seed), loss, iterations, 4), target * (1 + seed)
        )
        for iterations in range(8)
    ]
    for before, after in pairwise(values):
        assert (after <= before * (1 + 1e-6) + 1e-9).all()
    assert (values[-1] < values[0]).all()


def test_the_softmax_is_matched_as_well_as_an_optimiser_can() -> None:
    inputs, target = problem(n=2, rows=30, fan_in=3, units=4, groups=1)
    solver = Problem([inputs], 1e-10, False)
    found = solver.reweighted(solver.least_squares(target), target, SoftmaxLoss(), iterations=60, cg=20)
    for i in range(2):
        a, wanted = inputs[i, 0].numpy(), target[i, 0].softmax(-1).numpy()

        def divergence(flat: np.ndarray, a: np.ndarray = a, wanted: np.ndarray = wanted) -> float:
            logits = a @ flat.reshape(3, 4)
            logits = logits - np.log(np.exp(logits).sum(1, keepdims=True))
            return float((wanted * (np.log(wanted) - logits)).sum())

        best = optimize.minimize(divergence, np.zeros(12), method="BFGS", options={"gtol": 1e-7})
        ours = divergence(found[i, 0].numpy().ravel())
        assert ours == pytest.approx(best.fun, rel=1e-4)
        assert ours < divergence(solver.least_squares(target)[i, 0].numpy().ravel())


def test_as_many_networks_are_decoded_at_once_as_a_budget_holds() -> None:
    architecture, networks, capture = case_of("MLP")
    basis = basis_of(capture, networks, functions=6)
    decoder = Decoder(capture, basis)
    assert decoder.networks_at_once(0) == 1
    few, many = (decoder.networks_at_once(budget) for budget in (2**22, 2**23))
    assert 1 < few < many
    twice = Capture(architecture, probes_of(architecture, 120), 10**6, seed=3)
    assert Decoder(twice, basis_of(twice, networks, functions=6)).networks_at_once(2**23) < many
