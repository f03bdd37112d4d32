"""What goes into layers and what they respond are the network's own numbers, however they are asked for."""

import math
from typing import Any

import pytest
import torch
from response_cases import CASES, M, architecture_of, capture_of, networks_of, own
from torch import Tensor
from torch.nn import functional as F

from dwf_steps.config.dataset import PADDING
from dwf_steps.representation.capture import Capture
from dwf_steps.representation.layers import Layer
from dwf_steps.representation.tracing import trace
from dwf_steps.runtime.errors import InputError


def own_responses(capture: Capture, layer: Layer, network: dict[str, Tensor]) -> Tensor:
    """What a module's own call of a layer returns, (m, positions, units), by a hook on the function."""
    found: list[Tensor] = []
    originals = {name: getattr(F, name) for name in ("linear", "conv1d", "conv2d")}

    def noting(function: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Tensor:
            result: Tensor = function(*args, **kwargs)
            weight = args[1] if len(args) > 1 else kwargs["weight"]
            if weight is network[layer.weight]:
                found.append(result.clone())  # an activation in place may follow
            return result

        return call

    with pytest.MonkeyPatch.context() as patched, torch.no_grad():
        for name, function in originals.items():
            patched.setattr(F, name, noting(function))
        images = capture.probes.unflatten(-1, capture.architecture.input_shape)
        capture.architecture.call(network, images)
    values = found[0]
    m = len(capture.probes)
    if layer.convolution is not None:
        values = values.flatten(2).transpose(1, 2)  # (images, positions, units)
    else:
        values = values.movedim(layer.batch_axis, 0)
    if layer.before > 1:
        values = values.unflatten(0, (layer.before, m)).transpose(0, 1)
    return values.reshape(m, -1, layer.units)


@pytest.mark.filterwarnings("ignore:Using padding")
@pytest.mark.parametrize("case", [*CASES, "Frames, images first"])
def test_inputs_times_weights_are_the_layers_own_responses(case: str) -> None:
    case, _, first = case.partition(", ")
    architecture = architecture_of(case, **({"images_first": True} if first else {}))
    networks = networks_of(architecture)
    found = trace(architecture)
    for positions in (10**6, 2):
        capture = capture_of(architecture, positions)
        responses = capture.responses(networks, found.layers, slice(None))
        for layer in found.layers:
            expected = own_responses(capture, layer, networks.network(1))
            assert expected.shape[1] == max(1, math.prod(layer.places))
            places = capture.places(layer)
            chosen = expected.gather(1, places[..., None].expand(-1, -1, layer.units)).flatten(0, 1)
            torch.testing.assert_close(responses[layer.name][1], chosen, rtol=1e-4, atol=1e-5)
            inputs = capture.inputs(networks, layer, slice(None))
            assert inputs.shape == (3, layer.groups, capture.rows(layer), layer.fan_in)
            weight = networks[layer.weight].flatten(2)
            bias = networks[layer.bias] if layer.bias else None
            torch.testing.assert_close(
                layer.outputs(inputs, weight, bias), responses[layer.name], rtol=1e-4, atol=1e-5
            )


@pytest.mark.filterwarnings("ignore:Using padding")
@pytest.mark.parametrize("case", CASES)
def test_many_networks_at_once_respond_as_one_by_one_and_in_any_division_of_the_probes(case: str) -> None:
    architecture = architecture_of(case)
    networks, found = networks_of(architecture), trace(architecture)
    capture = capture_of(architecture, positions=3)
    whole = capture.responses(networks, found.layers, slice(None))
    divided = [
        [capture.responses(networks.select([i]), found.layers, rows) for rows in (slice(0, 1), slice(1, M))]
        for i in range(3)
    ]
    for layer in found.layers:
        parts = torch.cat([torch.cat([part[layer.name] for part in one], dim=1) for one in divided])
        torch.testing.assert_close(parts, whole[layer.name], rtol=1e-4, atol=1e-5)
        inputs = torch.cat(
            [capture.inputs(networks, layer, rows) for rows in (slice(0, 4), slice(4, M))], dim=2
        )
        torch.testing.assert_close(inputs, capture.inputs(networks, layer, slice(None)), rtol=1e-4, atol=1e-5)


def test_positions_are_drawn_for_each_probe_and_do_not_repeat() -> None:
    architecture = architecture_of("ResNet-20")
    layer = trace(architecture).layers[0]
    capture = capture_of(architecture, positions=7, m=50)
    places = capture.places(layer)
    assert places.shape == (50, 7)
    assert all(len(set(row.tolist())) == 7 for row in places)
    assert len({tuple(row.tolist()) for row in places}) > 40
    assert set(places.flatten().tolist()) == set(range(64))
    again = Capture(architecture, capture.probes, 7, seed=3).places(layer)
    assert torch.equal(places, again)
    assert not torch.equal(places, Capture(architecture, capture.probes, 7, seed=4).places(layer))


@pytest.mark.parametrize("positions", [1, 4, 9])
def test_padding_is_never_looked_at(positions: int) -> None:
    architecture = architecture_of("BERT")
    probes = capture_of(architecture, m=40).probes
    lengths = torch.arange(40) % 9 + 1
    probes[torch.arange(9) >= lengths[:, None]] = PADDING
    capture = Capture(architecture, probes, positions, seed=3)
    layers = trace(architecture).layers
    assert {layer.places for layer in layers} == {(9,), ()}  # tokens, and what the pooler makes of them
    for layer in layers:
        places, count = capture.places(layer), capture.count(layer)
        assert places.shape == (40, count)
        for length, row in zip(lengths.tolist(), places.tolist(), strict=True):
            assert max(row) < length or layer.places == ()
            assert len(set(row)) == min(length, count)


@pytest.mark.parametrize("case", ["Normalised", "ResNet-20"])
def test_moments_are_those_of_what_goes_into_a_normalisation(case: str) -> None:
    architecture = architecture_of(case)
    networks, found = networks_of(architecture), trace(architecture)
    capture = capture_of(architecture)
    norms = [step for step in found.steps if not isinstance(step, Layer)]
    inputs: dict[str, Tensor] = {}
    module = architecture.module()
    for name, part in module.named_modules():
        if f"{name}.running_mean" in {norm.mean for norm in norms}:
            part.register_forward_pre_hook(
                lambda _part, args, key=f"{name}.running_mean": inputs.update({key: args[0]})
            )
    module.load_state_dict(networks.network(2))
    with torch.no_grad():
        module.eval()(capture.probes.unflatten(-1, architecture.input_shape))
    for norm in norms:
        channels = inputs[norm.mean].double().transpose(0, 1).flatten(1)
        total, squares, count = capture.moments(networks, norm, slice(None))
        assert count == channels.shape[1]
        torch.testing.assert_close(total[2], channels.sum(1), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(squares[2], channels.square().sum(1), rtol=1e-4, atol=1e-4)


def test_networks_are_run_as_they_are_when_they_are_not_trained() -> None:
    architecture = architecture_of("Normalised")
    networks, found = networks_of(architecture), trace(architecture)
    capture = capture_of(architecture)
    before = capture.responses(networks, found.layers, slice(None))
    trained = networks.map(torch.clone)
    architecture.forward(trained, capture.probes, training=True)
    after = capture.responses(networks, found.layers, slice(None))
    for name, responses in before.items():
        assert torch.equal(responses, after[name])


def test_a_layer_that_the_probes_never_reach_is_named() -> None:
    architecture = own("Branching")
    found = trace(architecture)
    assert "extra.weight" in [layer.weight for layer in found.layers]
    capture = capture_of(architecture, m=5)
    networks = networks_of(architecture)
    with pytest.raises(InputError, match=r"extra\.weight is never reached by the probes; use .* `weights`"):
        capture.responses(networks, found.layers, slice(None))
    with pytest.raises(InputError, match=r"extra\.weight is never reached"):
        capture.inputs(networks, found.layers[1], slice(None))


def test_networks_that_cannot_run_at_once_respond_one_by_one() -> None:
    architecture = own("random_networks:Recurrent")
    networks, found = networks_of(architecture), trace(architecture)
    assert [layer.weight for layer in found.layers] == ["head.weight"]
    capture = capture_of(architecture)
    responses = capture.responses(networks, found.layers, slice(None))["head.responses"]
    expected = architecture.forward(networks, capture.probes)
    torch.testing.assert_close(responses, expected, rtol=1e-4, atol=1e-5)
