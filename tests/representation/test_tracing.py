"""Layers are found in execution order, whatever the network, with what stands between them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from response_cases import BERT, VIT, own
from torch import Tensor
from torch.nn import functional as F

from dwf_steps.architectures import build
from dwf_steps.config.architectures.images import ResNetConfig
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.representation.layers import Layer, Normalisation, Trace
from dwf_steps.representation.tracing import trace
from dwf_steps.runtime.errors import InputError


def names(found: Trace) -> list[str]:
    return [layer.weight.removesuffix(".weight") for layer in found.layers]


def layers(found: Trace) -> dict[str, Layer]:
    return {layer.weight.removesuffix(".weight"): layer for layer in found.layers}


def assert_same_function(
    found: Callable[[Tensor], Tensor] | None, expected: Callable[[Tensor], Tensor]
) -> None:
    values = torch.linspace(-3, 3, 50, dtype=torch.float64)
    assert found is not None
    kept = values.clone()
    torch.testing.assert_close(found(values), expected(kept.clone()))
    torch.testing.assert_close(values, kept)


@pytest.mark.parametrize(
    ("activation", "function"), [("relu", F.relu), ("gelu", F.gelu), ("tanh", torch.tanh)]
)
def test_an_mlp_has_its_layers_in_order_and_nothing_else(activation: Any, function: Any) -> None:
    found = trace(build(MLPConfig(widths=[6, 5, 4, 3], activation=activation)))
    assert names(found) == ["layers.0", "layers.1", "layers.2"]
    assert found.steps == found.layers
    assert found.kept == ()
    for layer, (fan_in, units) in zip(found.layers, [(6, 5), (5, 4), (4, 3)], strict=True):
        assert (layer.fan_in, layer.units, layer.groups, layer.places) == (fan_in, units, 1, ())
        assert layer.bias == layer.weight.replace("weight", "bias")
    assert [layer.reads_data for layer in found.layers] == [True, False, False]
    assert [layer.is_output for layer in found.layers] == [False, False, True]
    for layer in found.layers[:2]:
        assert_same_function(layer.activation, function)
    assert found.layers[2].activation is None


def test_what_takes_tokens_alone_is_traced_on_tokens() -> None:
    found = trace(own("Tokens", (6,)))
    assert names(found) == ["inner", "head"]
    assert [layer.places for layer in found.layers] == [(6,), ()]
    assert found.kept == ("embedding.weight",)


def test_layers_written_out_are_found_and_other_parameters_kept() -> None:
    found = trace(own("Written"))
    assert [layer.parameters for layer in found.layers] == [("first",), ("second",), ("third", "offset")]
    assert found.kept == ("gain",)
    assert_same_function(found.layers[0].activation, torch.tanh)
    assert_same_function(found.layers[1].activation, lambda values: F.leaky_relu(values, 0.3))
    assert found.layers[2].is_output


def test_a_residual_network_has_its_shortcuts_and_normalisations() -> None:
    architecture = build(ResNetConfig(kind="resnet20", width_multiplier=0.25, image_size=8, classes=4))
    found = trace(architecture)
    convolutions = [name for name, value in architecture._module.named_parameters() if value.dim() == 4]
    assert sorted(layer.weight for layer in found.layers) == sorted([*convolutions, "fc.weight"])
    assert found.layers[0].weight == "conv1.weight"
    assert [layer.weight for layer in found.layers if layer.reads_data] == ["conv1.weight"]
    assert [layer.weight for layer in found.layers if layer.is_output] == ["fc.weight"]
    assert all("bn" in name or "downsample.1" in name for name in found.kept)
    assert len(found.kept) == 2 * sum(isinstance(step, Normalisation) for step in found.steps)
    by_name = layers(found)
    norms = {step.mean for step in found.steps if isinstance(step, Normalisation)}
    for name, layer in by_name.items():
        if name != "fc":
            assert layer.normalisation is not None
            assert layer.normalisation.mean in norms
    # A block's first convolution is seen through an activation, its second and its shortcut through a sum.
    assert by_name["conv1"].activation is not None
    assert by_name["layer1.0.conv1"].activation is not None
    assert by_name["layer1.0.conv2"].activation is None
    assert by_name["layer2.0.downsample.0"].activation is None
    # Every normalisation follows its own convolution.
    order = [step.mean if isinstance(step, Normalisation) else step.weight for step in found.steps]
    for layer in found.layers[:-1]:
        assert order.index(layer.weight) < order.index(layer.normalisation.mean)


def test_a_vision_transformer_has_packed_and_outgoing_projections() -> None:
    found = trace(build(VIT))
    block = "encoder.layers.encoder_layer_{}."
    expected = ["conv_proj"]
    for i in range(2):
        inside = ("self_attention.in_proj_weight", "self_attention.out_proj", "mlp.0", "mlp.3")
        expected += [block.format(i) + part for part in inside]
    assert names(found) == [*expected, "heads.head"]
    by_name = layers(found)
    packed = by_name["encoder.layers.encoder_layer_0.self_attention.in_proj_weight"]
    tokens = VIT.tokens if hasattr(VIT, "tokens") else 5
    assert (packed.units, packed.fan_in, packed.places) == (24, 8, (tokens,))
    assert packed.batch_axis == 1
    assert packed.bias == "encoder.layers.encoder_layer_0.self_attention.in_proj_bias"
    assert by_name["encoder.layers.encoder_layer_0.self_attention.out_proj"].before == tokens
    assert_same_function(by_name["encoder.layers.encoder_layer_0.mlp.0"].activation, F.gelu)
    assert by_name["encoder.layers.encoder_layer_0.mlp.3"].activation is None
    assert [name for name, layer in by_name.items() if layer.reads_data] == ["conv_proj"]
    assert [name for name, layer in by_name.items() if layer.is_output] == ["heads.head"]
    assert {"class_token", "encoder.pos_embedding", "encoder.ln.weight"} < set(found.kept)


def test_bert_has_query_key_value_and_output_and_keeps_its_embeddings() -> None:
    found = trace(build(BERT))
    parts = [
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
    ]
    blocks = [f"bert.encoder.layer.{i}.{part}" for i in range(2) for part in parts]
    assert names(found) == [*blocks, "bert.pooler.dense", "classifier"]
    by_name = layers(found)
    assert not any(layer.reads_data for layer in found.layers)  # embeddings come first
    assert by_name["classifier"].is_output
    assert by_name["bert.encoder.layer.0.intermediate.dense"].places == (9,)
    assert_same_function(by_name["bert.encoder.layer.0.intermediate.dense"].activation, F.gelu)
    assert_same_function(by_name["bert.pooler.dense"].activation, torch.tanh)
    assert all("embeddings" in name or "LayerNorm" in name for name in found.kept)


@pytest.mark.filterwarnings("ignore:Using padding")  # of an even kernel: the padding is not symmetric
def test_convolutions_of_every_kind_are_described() -> None:
    found = trace(own("Convolutions", (2, 9, 10)))
    by_name = layers(found)
    assert list(by_name) == [
        "plain", "grouped", "same", "dilated", "strided", "small", "depthwise", "line", "head"
    ]  # fmt: skip
    assert found.kept == ()
    facts = {name: (layer.fan_in, layer.groups, layer.places) for name, layer in by_name.items()}
    assert facts == {
        "plain": (18, 1, (7, 8)),
        "grouped": (6, 2, (7, 8)),
        "same": (36, 1, (7, 8)),
        "dilated": (36, 1, (7, 8)),
        "strided": (36, 1, (4, 8)),
        "small": (4, 1, (2, 4)),
        "depthwise": (4, 3, (1, 3)),
        "line": (9, 1, (1,)),
        "head": (4, 1, ()),
    }
    assert by_name["same"].convolution.padding == ((0, 1), (1, 1))
    assert by_name["dilated"].bias is None
    assert_same_function(by_name["plain"].activation, F.relu)
    assert_same_function(by_name["grouped"].activation, lambda x: F.gelu(x, approximate="tanh"))
    assert_same_function(by_name["same"].activation, lambda x: F.elu(x, 0.5))
    assert_same_function(by_name["dilated"].activation, F.relu)
    assert_same_function(by_name["strided"].activation, torch.sigmoid)
    assert by_name["small"].activation is None
    assert_same_function(by_name["depthwise"].activation, F.relu)
    assert_same_function(by_name["line"].activation, F.silu)


def test_responses_that_are_read_twice_have_no_activation() -> None:
    by_name = layers(trace(own("Residual")))
    assert {name for name, layer in by_name.items() if layer.activation is not None} == {"inplace"}


def test_tied_parameters_are_kept_as_weights() -> None:
    found = trace(own("Tied"))
    assert names(found) == ["inner", "head"]
    assert set(found.kept) == {"embedding.weight", "shared", "left", "right", "offset"}


def test_normalisation_belongs_to_the_layer_whose_responses_it_reads_before_the_activation() -> None:
    found = trace(own("Normalised", (2, 6, 6)))
    by_name = layers(found)
    assert by_name["first"].normalisation.mean == "first_norm.running_mean"
    assert_same_function(by_name["first"].activation, F.relu)
    assert by_name["second"].normalisation is None
    assert_same_function(by_name["second"].activation, F.relu)
    assert by_name["third"].normalisation.weight == "third_norm.weight"
    assert_same_function(by_name["third"].activation, F.gelu)
    assert not by_name["first"].reads_data  # what goes into it was normalised by parameters and statistics
    unaffine = next(s for s in found.steps if isinstance(s, Normalisation) and "second" in s.mean)
    assert (unaffine.weight, unaffine.bias, unaffine.epsilon) == (None, None, 1e-5)


def test_attention_to_another_sequence_keeps_the_projections_that_it_splits() -> None:
    found = trace(own("Attending", (5, 4)))
    assert names(found) == ["own.in_proj_weight", "own.out_proj", "other.out_proj", "head"]
    assert set(found.kept) == {"other.in_proj_weight", "other.in_proj_bias"}
    assert layers(found)["own.in_proj_weight"].reads_data


def test_a_layer_that_sees_zeros_when_new_does_not_read_data() -> None:
    found = trace(own("Unseen"))
    assert [layer.weight for layer in found.layers] == [
        "second.weight"
    ]  # the first one's bias is used elsewhere
    assert not found.layers[0].reads_data
    assert found.kept == ("first.weight", "first.bias")


def test_a_narrow_network_whose_units_are_dead_when_new_does_not_read_data_later() -> None:
    for width in (1, 2):
        found = trace(build(MLPConfig(widths=[4, width, width, width, 3])))
        assert [layer.reads_data for layer in found.layers] == [True, False, False, False]


@pytest.mark.parametrize("images_first", [False, True])
def test_several_images_of_an_example_are_positions(images_first: bool) -> None:
    by_name = layers(trace(own("Frames", (3, 2, 5, 5), images_first=images_first)))
    assert by_name["stem"].places == (3, 2, 2)
    assert by_name["mixed"].places == (3,)
    assert {by_name[name].before for name in ("stem", "mixed")} == {3 if images_first else 1}
    assert by_name["head"].before == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("twice", ["0.weight is used more than once", "weights"]),
        ("NoLayer", ["no layer was found", "weights"]),
        ("Failing", ["fails on 3 examples", "KeyError", "three", "first.weight", "weights"]),
        ("Mixing", ["first.weight", "(4, 4)", "(6, 4)", "one axis of examples", "weights"]),
    ],
)
def test_a_network_that_cannot_be_traced_is_refused_with_the_layer_and_the_reason(
    name: str, said: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        trace(own(name))
    for part in (name, *said):
        assert part in str(caught.value)
