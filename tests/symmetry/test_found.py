"""Symmetries found by tracing: those that were written down, those of other networks, no others."""

import logging
import os
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import block_networks
import numpy as np
import pytest
import torch
import yaml
from block_networks import CASES
from checkout import ROOT
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from dwf_steps.architectures import build
from dwf_steps.architectures.base import Architecture
from dwf_steps.config.architectures.bert import BertConfig
from dwf_steps.config.architectures.images import ResNetConfig, ViTConfig
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.architectures.module import ModuleConfig
from dwf_steps.config.canonicalization import Pairing, Transfusion
from dwf_steps.runtime.libraries import despite_missing_operators, torchvision
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.symmetry.canonical import remove_symmetries
from dwf_steps.symmetry.found import FoundSymmetries, find_symmetries
from dwf_steps.symmetry.git_rebasin import match_weights
from dwf_steps.symmetry.operations import RULES
from dwf_steps.symmetry.permutation import permute
from dwf_steps.symmetry.rescaling import normalize_incoming
from dwf_steps.symmetry.spec import (
    Attention,
    Axis,
    PermutationSpec,
    Projection,
    Rescaling,
    SymmetrySpec,
    named_in,
    unit_counts,
    with_buffers,
)
from dwf_steps.symmetry.transfusion import HeadOrders, permute_attention

VIT = ViTConfig(kind="vit", image_size=8, patch_size=4, width=12, depth=2, heads=3, mlp=20, classes=4)
BERT = BertConfig(kind="bert", vocabulary=100, length=6, width=12, depth=2, heads=3, mlp=20, classes=2)


def found_of(module: nn.Module, shape: tuple[int, ...]) -> FoundSymmetries:
    module.eval()
    buffers = [name for name, _ in module.named_buffers()]

    def call(network: dict[str, Tensor], inputs: Tensor) -> Tensor:
        outputs: Tensor = functional_call(module, network, (inputs,))
        return outputs

    return find_symmetries(call, dict(module.state_dict()), buffers, shape, type(module).__name__)


def found_of_architecture(architecture: Architecture) -> FoundSymmetries:
    state = architecture.initial_state("default", torch_generator("found", 0))
    return find_symmetries(
        architecture.call, state, architecture.buffers, architecture.input_shape, architecture.config.called
    )


def numbered(spec: PermutationSpec) -> PermutationSpec:
    """Return a specification with permutations numbered in the order of parameters' names."""
    names = dict.fromkeys(p for key in sorted(spec) for axis in spec[key] for p in named_in(axis))
    numbers = {name: str(number) for number, name in enumerate(names)}

    def renamed(axis: Any) -> Any:
        if isinstance(axis, tuple | list):
            return type(axis)(map(renamed, axis))
        return numbers.get(axis, axis)

    return {key: tuple(renamed(axis) for axis in axes) for key, axes in spec.items()}


def without(spec: PermutationSpec, permutation: str) -> PermutationSpec:
    def left(axis: Axis) -> Axis:
        return None if permutation in named_in(axis) else axis

    return {key: tuple(map(left, axes)) for key, axes in spec.items()}


def shapes_of(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}


def stated_of(module: Any) -> PermutationSpec:
    buffers = {name: tuple(value.shape) for name, value in module.named_buffers()}
    return with_buffers(module.permutation_spec(), buffers)


@pytest.mark.parametrize(("name", "kwargs"), CASES)
def test_blocks_are_found_as_they_were_stated(name: str, kwargs: dict[str, Any]) -> None:
    module = getattr(block_networks, name)(**kwargs)
    found = found_of(module, (1, 8, 8))
    assert not found.unknown
    assert numbered(found.permutations) == numbered(stated_of(module))


@pytest.mark.parametrize(
    "config",
    [
        MLPConfig(widths=[5, 7, 6, 3]),
        MLPConfig(widths=[5, 7, 3], activation="tanh"),
        ResNetConfig(kind="resnet20", classes=10, width_multiplier=0.25),
        ResNetConfig(kind="resnet18", classes=10, width_multiplier=0.0625),
    ],
    ids=lambda config: f"{config.kind}-{len(config.widths)}",
)
def test_symmetries_of_networks_of_units_are_those_that_were_written_down(
    config: MLPConfig | ResNetConfig,
) -> None:
    architecture = build(config)
    found = found_of_architecture(architecture)
    assert numbered(found.permutations) == numbered(architecture.permutation_spec())
    stated = architecture.rescaling_spec() if "rescaling_spec" in architecture.symmetries else []
    assert sorted(found.rescalings, key=str) == sorted(stated, key=str)
    assert found.attentions == []


@pytest.mark.parametrize("config", [VIT, BERT], ids=["vit", "bert"])
def test_symmetries_of_transformers_are_those_that_were_written_down_and_the_streams(
    config: ViTConfig | BertConfig,
) -> None:
    architecture = build(config)
    found = found_of_architecture(architecture)
    first = "encoder.ln.weight" if config is VIT else "bert.embeddings.LayerNorm.weight"
    (stream,) = found.permutations[first]
    assert isinstance(stream, str)
    assert numbered(without(found.permutations, stream)) == numbered(architecture.permutation_spec())
    assert found.attentions == architecture.attention_spec()
    assert found.rescalings == []


def small_vgg() -> nn.Module:
    models = torchvision("models.vgg")
    vgg: nn.Module = models.VGG(models.make_layers([8, "M", 16, "M"], batch_norm=True))
    vgg.classifier = nn.Sequential(nn.Linear(16 * 49, 12), nn.ReLU(), nn.Linear(12, 10))
    return vgg


def small_convnext() -> nn.Module:
    models = torchvision("models.convnext")
    blocks = [models.CNBlockConfig(16, 24, 1), models.CNBlockConfig(24, None, 2)]
    return still(models.ConvNeXt(blocks, num_classes=10))


def still(module: nn.Module) -> nn.Module:
    """Return a module without stochastic depth."""
    for part in module.modules():
        if type(part).__name__ == "StochasticDepth":
            part.p = 0.0
    return module


def bottlenecks() -> nn.Module:
    models = torchvision("models.resnet")
    resnet: nn.Module = models.ResNet(models.Bottleneck, [1, 1, 1, 1], width_per_group=8)
    return resnet


def small_mobilenet() -> nn.Module:
    mobilenet: nn.Module = torchvision("models.mobilenetv3").mobilenet_v3_small(width_mult=0.25)
    return mobilenet


def small_densenet() -> nn.Module:
    densenet: nn.Module = torchvision("models.densenet").DenseNet(4, (2, 2), 8, num_classes=10)
    return densenet


def small_vit() -> nn.Module:
    vit: nn.Module = torchvision("models.vision_transformer").VisionTransformer(32, 16, 2, 4, 32, 48)
    return vit


def timm_models() -> Any:
    """Return timm's models; where it is not installed, the test is skipped."""
    return despite_missing_operators(lambda: pytest.importorskip("timm.models"))


def timm(name: str, **kwargs: Any) -> nn.Module:
    """Return a model of timm, of a name that `create_model` knows or of a class in `timm.models`."""
    models = timm_models()
    make = getattr(models, name, None)
    make = make or partial(models.create_model, name)
    module: nn.Module = make(num_classes=10, **kwargs)
    return module


def small_mixer() -> nn.Module:
    return timm("MlpMixer", img_size=32, patch_size=8, num_blocks=2, embed_dim=48)


def small_resmlp() -> nn.Module:
    mixer = timm_models().mlp_mixer
    parts = {"block_layer": mixer.ResBlock, "norm_layer": mixer.Affine}
    return timm("MlpMixer", img_size=32, patch_size=8, num_blocks=2, embed_dim=48, mlp_ratio=4, **parts)


def small_swin() -> nn.Module:
    sizes = {"img_size": 32, "window_size": 4, "embed_dim": 24, "depths": (2, 2), "num_heads": (2, 4)}
    return timm("swin_tiny_patch4_window7_224", **sizes)


# Permutations, attentions and scales of units.
Makers = dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int]]]
SMALL: Makers = {
    "resnet, bottlenecks": (bottlenecks, (13, 0, 30)),
    "vgg": (small_vgg, (3, 0, 5)),
    "mobilenet_v3": (small_mobilenet, (26, 0, 13)),
    "densenet": (small_densenet, (10, 0, 9)),
    "vit": (small_vit, (3, 2, 0)),
    "convnext": (small_convnext, (5, 0, 0)),
}
FULL: Makers = {
    "resnet18": (lambda: torchvision("models.resnet").resnet18(), (12, 0, 32)),
    "resnet50": (lambda: torchvision("models.resnet").resnet50(), (37, 0, 90)),
    "vgg11_bn": (lambda: torchvision("models.vgg").vgg11_bn(init_weights=False), (10, 0, 18)),
    "mobilenet_v3_small": (lambda: torchvision("models.mobilenetv3").mobilenet_v3_small(), (27, 0, 14)),
    "densenet121": (lambda: torchvision("models.densenet").densenet121(), (120, 0, 117)),
    "vit_b_16": (lambda: torchvision("models.vision_transformer").vit_b_16(image_size=32), (13, 12, 0)),
    "convnext_tiny": (lambda: still(torchvision("models.convnext").convnext_tiny()), (22, 0, 0)),
}


SMALL_TIMM: Makers = {
    "resnet": (lambda: timm("resnet10t"), (10, 0, 24)),
    "mobilenet_v3": (lambda: timm("mobilenetv3_small_050"), (26, 0, 47)),
    "efficientnet": (lambda: timm("tinynet_e"), (28, 0, 38)),
    "ghostnet": (lambda: timm("ghostnet_050"), (31, 0, 89)),
    "regnet, grouped convolutions": (lambda: timm("regnetx_002"), (44, 0, 49)),
    "convnext": (lambda: timm("convnext_atto", depths=(1, 1, 1, 1)), (8, 0, 0)),
    "vit": (lambda: timm("vit_tiny_patch16_224", img_size=32, depth=2), (3, 2, 0)),
    "deit": (lambda: timm("deit_tiny_distilled_patch16_224", img_size=32, depth=2), (3, 2, 0)),
    "swin": (small_swin, (18, 0, 0)),
    "mixer": (small_mixer, (5, 0, 0)),
    "resmlp": (small_resmlp, (3, 0, 0)),
}
FULL_TIMM: Makers = {
    "resnet18": (lambda: timm("resnet18"), (12, 0, 32)),
    "efficientnet_b0": (lambda: timm("efficientnet_b0"), (40, 0, 56)),
    "convnext_atto": (lambda: timm("convnext_atto"), (16, 0, 0)),
    "mobilevit_xxs": (lambda: timm("mobilevit_xxs"), (34, 9, 33)),
    "mixer_s32_224": (lambda: timm("mixer_s32_224", img_size=32), (17, 0, 0)),
    "resmlp_12_224": (lambda: timm("resmlp_12_224", img_size=32), (13, 0, 0)),
    "xcit_nano_12_p16_224": (lambda: timm("xcit_nano_12_p16_224", img_size=32), (54, 2, 4)),
    "cait_xxs24_224": (lambda: timm("cait_xxs24_224", img_size=32), (147, 2, 0)),
}


def check_model(
    make: Callable[[], nn.Module],
    numbers: tuple[int, int, int],
    shape: tuple[int, ...],
    undo: bool = True,
    grouped: bool = False,
) -> None:
    """Check how many symmetries are found, that permutations and scales keep the function, and that matching
    undoes permutations; of layers that are ``grouped`` it may end in a local optimum, where groups and the
    units within them both have to move."""
    torch.manual_seed(0)
    module = make().double().eval()
    found = found_of(module, shape)
    counts = unit_counts(shapes_of(module), found.permutations)
    assert found.unknown == ""
    assert (len(counts), len(found.attentions), len(found.rescalings)) == numbers
    draws, inputs = np.random.default_rng(0), torch.randn(2, *shape, dtype=torch.float64)
    network = StackedNetworks.of_one(
        {
            key: value + 0.1 * torch.rand_like(value) if value.is_floating_point() else value
            for key, value in module.state_dict().items()
        }
    ).numpy()
    orders = {p: moving(draws, units)[None] for p, units in counts.items()}
    moved = permute(network, found.permutations, orders)
    scaled = normalize_incoming(network, found.rescalings)
    with torch.no_grad():
        before, *others = (
            functional_call(module, some.tensors().network(0), (inputs,)) for some in (network, moved, scaled)
        )
    assert before.std(0).max() > 0
    for after in others:
        torch.testing.assert_close(after, before, rtol=1e-8, atol=1e-8 * before.abs().max().item())
    for units in found.rescalings:
        assert not np.array_equal(network[units.incoming[0]], scaled[units.incoming[0]])
    for key, axes in found.permutations.items():
        assert any(map(named_in, axes)) != np.array_equal(network[key], moved[key])
    if not undo:
        return
    parameters = [key for key, _ in module.named_parameters()]
    matching = match_weights(
        {key: network[key][0] for key in parameters},
        moved.only(parameters),
        found.permutations,
        100,
        np.random.default_rng(0),
    )
    back = permute(moved, found.permutations, matching.permutations)
    for key, array in network.items():
        if not (grouped and any(isinstance(axis, tuple) for axis in found.permutations[key])):
            np.testing.assert_array_equal(back[key], array)


def moving(draws: np.random.Generator, units: int) -> np.ndarray:
    """Return a permutation that moves something, of few units too."""
    order = draws.permutation(units)
    return np.roll(order, 1) if (order == np.arange(units)).all() else order


@pytest.mark.parametrize("name", SMALL)
def test_symmetries_of_torchvisions_families_are_found_and_their_permutations_undone(name: str) -> None:
    check_model(*SMALL[name], (3, 32, 32))


@pytest.mark.skipif(
    "DWF_TEST_FULL_MODELS" not in os.environ, reason="takes minutes; set DWF_TEST_FULL_MODELS"
)
@pytest.mark.parametrize("name", FULL)
def test_symmetries_of_torchvisions_models_are_found_and_their_permutations_undone(name: str) -> None:
    check_model(*FULL[name], (3, 32, 32), undo=name != "vit_b_16")  # whose matching takes many minutes


@pytest.mark.parametrize("name", SMALL_TIMM)
def test_symmetries_of_timms_families_are_found_and_their_permutations_undone(name: str) -> None:
    check_model(*SMALL_TIMM[name], (3, 32, 32), grouped="grouped" in name)


@pytest.mark.skipif(
    "DWF_TEST_FULL_MODELS" not in os.environ, reason="takes minutes; set DWF_TEST_FULL_MODELS"
)
@pytest.mark.parametrize("name", FULL_TIMM)
def test_symmetries_of_timms_models_are_found_and_their_permutations_undone(name: str) -> None:
    check_model(*FULL_TIMM[name], (3, 32, 32))


def test_a_model_of_timm_is_aligned_but_for_what_goes_through_an_unknown_operation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    swin, known = small_swin(), found_of(small_swin(), (3, 32, 32)).permutations
    monkeypatch.delitem(RULES, "roll")
    found = found_of(swin, (3, 32, 32))
    assert found.unknown == "there is no rule for roll, so the axes read there keep their order"
    stream, units = (f"layers.0.blocks.1.{name}" for name in ("norm1.weight", "mlp.fc1.bias"))
    assert known[stream] != (None,) and found.permutations[stream] == (None,)
    assert known[units] == found.permutations[units] != (None,)


class Written(nn.Module):
    """A forward that is given."""

    def __init__(self, forward: Callable[..., Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self._forward = forward
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Tensor:
        return self._forward(self, x)


def in_place(m: Any, x: Tensor) -> Tensor:
    hidden = x.new_zeros(len(x), 2, 6)
    hidden[:, 0] = m.a(x).relu()
    hidden[:, 1] = m.b(x).relu()
    return m.c(hidden.sum(1))


def half_in_place(m: Any, x: Tensor) -> Tensor:
    hidden = x.new_zeros(len(x), 6)
    hidden[:, :3] = m.a(x)
    return m.c(hidden)


def fused(m: Any, x: Tensor) -> Tensor:
    """Return two heads of attention among three tokens, projected at once as timm does."""
    tokens = x.view(-1, 3, 4)
    q, k, v = m.qkv(tokens).reshape(-1, 3, 3, 2, 3).permute(2, 0, 3, 1, 4)
    mixed = (q @ k.transpose(-2, -1) * 3**-0.5).softmax(-1) @ v
    return m.out(mixed.transpose(1, 2).flatten(2)).mean(1)


def gated(m: Any, x: Tensor) -> Tensor:
    """Return two heads of attention among three tokens, with a factor and an offset of each."""
    tokens = x.view(-1, 3, 4)
    q, k, v = (part(tokens).view(-1, 3, 2, 3).transpose(1, 2) for part in (m.q, m.k, m.v))
    scores = (q @ k.transpose(-2, -1)).softmax(-1) * m.gates["a"].view(2, 1, 1) + m.gates["b"].view(2, 1, 1)
    return m.out((scores @ v).transpose(1, 2).flatten(2)).mean(1)


def linear(*sizes: int, bias: bool = True) -> nn.Linear:
    return nn.Linear(*sizes, bias=bias)


FORWARDS: dict[str, tuple[nn.Module, tuple[int, ...], dict[str, tuple[Axis, ...]]]] = {
    "a layer that runs twice": (
        Written(
            lambda m, x: m.o(m.h(m.h(m.i(x)).relu()).relu()), i=linear(4, 5), h=linear(5, 5), o=linear(5, 3)
        ),
        (4,),
        {"i.weight": ("i", None), "h.weight": ("i", "i"), "o.weight": (None, "i")},
    ),
    "a residual stream with padded channels": (
        Written(
            lambda m, x: m.o(m.b(x) + F.pad(m.a(x).tanh(), (1, 2))),
            a=linear(4, 3),
            b=linear(4, 6),
            o=linear(6, 3),
        ),
        (4,),
        {
            "a.weight": ("a", None),
            "b.weight": ([1, "a", "b"], None),
            "o.weight": (None, [1, "a", "b"]),
        },
    ),
    "steps written into zeros": (
        Written(in_place, a=linear(4, 6), b=linear(4, 6), c=linear(6, 3)),
        (4,),
        {"a.weight": ("a", None), "b.weight": ("a", None), "c.weight": (None, "a")},
    ),
    "half of the units written into zeros": (
        Written(half_in_place, a=linear(4, 3), c=linear(6, 3)),
        (4,),
        {"a.weight": (None, None), "c.weight": (None, None)},
    ),
    "gates": (
        Written(
            lambda m, x: m.o(F.glu(m.a(x)) * m.b(x).sigmoid()),
            a=linear(4, 10),
            b=linear(4, 5),
            o=linear(5, 3),
        ),
        (4,),
        {"a.weight": ((2, "a"), None), "b.weight": ("a", None), "o.weight": (None, "a")},
    ),
    "transposed convolution and norms of groups": (
        Written(
            lambda m, x: m.o(m.n(m.b(m.a(x))).relu().mean((2, 3))),
            a=nn.Conv2d(1, 4, 1),
            b=nn.ConvTranspose2d(4, 6, 2),
            n=nn.GroupNorm(3, 6),
            o=linear(6, 3),
        ),
        (1, 4, 4),
        {
            "a.weight": ("a", None, None, None),
            "b.weight": ("a", ("b=3", "b:2"), None, None),
            "n.bias": (("b=3", "b:2"),),
            "o.weight": (None, ("b=3", "b:2")),
        },
    ),
    "shuffled channels and norms of instances": (
        Written(
            lambda m, x: m.o(m.n(F.channel_shuffle(m.a(x), 2)).relu().amax((2, 3))),
            a=nn.Conv2d(1, 6, 3),
            n=nn.InstanceNorm2d(6, affine=True),
            o=linear(6, 3),
        ),
        (1, 5, 5),
        {
            "a.weight": (("a=2", "a:2"), None, None, None),
            "n.weight": (("a:2", "a=2"),),
            "o.weight": (None, ("a:2", "a=2")),
        },
    ),
    "rolled tokens and rolled units": (
        Written(
            lambda m, x: m.c(m.b(m.a(x.view(-1, 3, 4)).relu().roll(1, 1)).roll((1, 1), (1, 2)).tanh().sum(1)),
            a=linear(4, 6),
            b=linear(6, 5),
            c=linear(5, 3),
        ),
        (12,),
        {"a.weight": ("a", None), "b.weight": (None, "a"), "c.weight": (None, None)},
    ),
    "windows of pixels taken apart and put together": (
        Written(
            lambda m, x: m.o(F.fold(m.b(F.unfold(m.a(x), 2, stride=2)), 4, 2, stride=2).relu().sum((2, 3))),
            a=nn.Conv2d(1, 3, 1),
            b=nn.Conv1d(12, 20, 1),
            o=linear(5, 3),
        ),
        (1, 4, 4),
        {
            "a.weight": ("a", None, None, None),
            "b.weight": (("b", 4), ("a", 4), None),
            "o.weight": (None, "b"),
        },
    ),
    "windows along an axis, and pixels cut off": (
        Written(
            lambda m, x: m.o(m.b(F.pad(m.a(x), (-1, 1, 0, -2))).relu().unfold(2, 2, 1).amax((2, 3, 4))),
            a=nn.Conv2d(1, 4, 1),
            b=nn.Conv2d(4, 5, 1),
            o=linear(5, 3),
        ),
        (1, 6, 6),
        {"a.weight": ("a", None, None, None), "b.weight": ("b", "a", None, None), "o.weight": (None, "b")},
    ),
    "heads with factors, in as many places as heads of attention alone": (
        Written(
            gated,
            q=linear(4, 6, bias=False),
            k=linear(4, 6, bias=False),
            v=linear(4, 6),
            gates=nn.ParameterDict({"a": torch.rand(2), "b": torch.rand(2)}),
            out=linear(6, 3),
        ),
        (12,),
        {
            "q.weight": (("q", "q:2"), None),
            "v.weight": (("q", "v"), None),
            "gates.a": ("q",),
            "out.weight": (None, ("q", "v")),
        },
    ),
    "embedded tokens": (
        Written(
            lambda m, x: m.o(m.n(m.e(x.long())).mean(1)),
            e=nn.Embedding(9, 5),
            n=nn.LayerNorm(5),
            o=linear(5, 3),
        ),
        (4,),
        {"e.weight": (None, "n"), "n.weight": ("n",), "o.weight": (None, "n")},
    ),
    "weights of a norm and a direction": (
        Written(lambda m, x: m.b(m.a(x).relu()), a=weight_norm(linear(4, 6)), b=weight_norm(linear(6, 3))),
        (4,),
        {
            "a.parametrizations.weight.original0": ("a", None),
            "a.parametrizations.weight.original1": ("a", None),
            "b.parametrizations.weight.original0": (None, None),
            "b.parametrizations.weight.original1": (None, "a"),
        },
    ),
    "one fused projection without biases": (
        Written(fused, qkv=linear(4, 18, bias=False), out=linear(6, 3)),
        (12,),
        {
            "qkv.weight": ([("qkv=2", "qkv:2=3"), ("qkv=2", "qkv:2=3"), ("qkv=2", "qkv:3")], None),
            "out.weight": (None, ("qkv=2", "qkv:3")),
        },
    ),
}


@pytest.mark.parametrize("name", FORWARDS)
def test_units_are_followed_through(name: str) -> None:
    module, shape, expected = FORWARDS[name]
    found = found_of(module, shape)
    assert not found.unknown
    assert {key: found.permutations[key] for key in expected} == expected
    assert found_of(module, shape) == found, "the same module has the same symmetries"


def test_heads_of_a_fused_projection_are_found() -> None:
    module = Written(fused, qkv=linear(4, 18), out=linear(6, 3))
    found = found_of(module, (12,))
    parts = [Projection("qkv.weight", "qkv.bias", first) for first in (0, 6, 12)]
    assert found.attentions == [Attention(*parts, "out.weight", 2)]
    assert not any(named_in(axis) for axes in found.permutations.values() for axis in axes)


def test_what_goes_through_an_unknown_operation_keeps_its_order_and_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    module = Written(
        lambda m, x: m.c(m.b(torch.fft.rfft(m.a(x)).abs()).relu()),
        a=linear(4, 6),
        b=linear(4, 5),
        c=linear(5, 3),
    )
    with caplog.at_level(logging.INFO):
        found = found_of(module, (4,))
    assert "there is no rule for _fft_r2c, so the axes read there keep their order" in found.unknown
    assert found.unknown in caplog.text
    assert found.permutations["a.weight"] == (None, None)
    assert found.permutations["b.weight"] == ("b", None)
    assert found.permutations["c.weight"] == (None, "b")


def test_a_module_that_cannot_compute_in_float64_has_no_symmetries_and_says_where(
    caplog: pytest.LogCaptureFixture,
) -> None:
    module = Written(lambda m, x: m.b(m.a(x).relu().float()), a=linear(4, 6), b=linear(6, 3))
    with caplog.at_level(logging.INFO):
        found = found_of(module, (4,))
    assert not found.any_permuted and not found.rescalings
    assert "it cannot be traced in float64 (RuntimeError: " in found.unknown
    assert "test_found.py line" in found.unknown
    assert found.unknown.endswith(", in or after the operation t"), "of the layer that meets float32"
    assert found.unknown in caplog.text


def test_what_a_wrong_rule_finds_is_dropped_and_the_rest_kept(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    module = Written(
        lambda m, x: m.c(m.b(m.a(x).cumsum(1)).relu()), a=linear(4, 6), b=linear(6, 5), c=linear(5, 3)
    )
    assert found_of(module, (4,)).permutations["b.weight"] == ("b", None)
    monkeypatch.setitem(RULES, "cumsum", RULES["detach"])
    with caplog.at_level(logging.INFO):
        found = found_of(module, (4,))
    assert "a changes outputs and is left out" in caplog.text
    assert found.permutations["a.weight"] == (None, None)
    assert found.permutations["b.weight"] == ("b", None)


@pytest.mark.parametrize(
    ("activation", "scales"),
    [
        (nn.ReLU(), 1),
        (nn.LeakyReLU(), 1),
        (nn.GELU(), 0),
        (nn.Sigmoid(), 0),
        (nn.PReLU(), 1),
        (nn.Hardswish(), 0),
    ],
)
def test_units_have_scales_where_activations_are_homogeneous(activation: nn.Module, scales: int) -> None:
    module = Written(lambda m, x: m.b(m.f(m.a(x))), a=linear(4, 6), f=activation, b=linear(6, 3))
    found = found_of(module, (4,))
    assert found.rescalings == [Rescaling(("a.weight", "a.bias"), ("b.weight",))] * scales
    assert found.permutations["a.weight"] == ("a", None)


@pytest.mark.parametrize(("epsilon", "scales"), [(1e-5, 2), (1e-3, 1)])
def test_filters_have_scales_where_batch_normalisation_adds_what_rescaling_takes_into_account(
    epsilon: float, scales: int
) -> None:
    module = nn.Sequential(linear(4, 5), nn.BatchNorm1d(5, eps=epsilon), nn.ReLU(), linear(5, 3))
    found = found_of(module, (4,)).rescalings
    expected = [
        Rescaling(("1.weight", "1.bias"), ("3.weight",)),
        Rescaling(("0.weight", "0.bias"), statistics=("1.running_mean", "1.running_var")),
    ]
    assert found == expected[:scales]


def test_parameters_that_nothing_reads_keep_their_order() -> None:
    module = Written(lambda m, x: m.a(x), a=linear(4, 3), b=linear(4, 5))
    assert not found_of(module, (4,)).any_permuted


def test_constant_buffers_are_shared_by_all_networks_and_keep_their_order() -> None:
    module = Written(lambda m, x: m.b(m.a(x) * m.scales), a=linear(4, 6), b=linear(6, 3))
    module.register_buffer("scales", torch.rand(6))
    assert not found_of(module, (4,)).any_permuted


def test_a_rule_that_does_not_fit_what_it_meets_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "softmax", lambda _: [])
    module = Written(lambda m, x: m.b(m.a(x).softmax(1)), a=linear(4, 6), b=linear(6, 3))
    found = found_of(module, (4,))
    assert found.unknown == "there is no rule for _softmax, so the axes read there keep their order"
    assert not found.any_permuted


@pytest.mark.parametrize("pairing", ["spectra", "weights"])
def test_the_stream_the_heads_and_the_units_of_a_transformer_are_all_put_back(pairing: Pairing) -> None:
    torch.manual_seed(0)
    module = small_vit().eval()
    found, parameters = found_of(module, (3, 32, 32)), tuple(name for name, _ in module.named_parameters())
    spec = SymmetrySpec(parameters, found.permutations, tuple(found.attentions))
    assert spec.streams_move
    draws, n = np.random.default_rng(0), 3
    copies = StackedNetworks.of_one(
        {name: value + 0.1 * torch.rand_like(value) for name, value in module.state_dict().items()}
    ).numpy()
    copies = copies.map(lambda array: np.concatenate([array] * n))
    moved = copies
    for attention in found.attentions:
        orders = []
        for _ in range(2):
            within = np.argsort(draws.random((n, 4, 8)), axis=2)
            heads = np.argsort(draws.random((n, 4)), axis=1) if not orders else orders[0][:, ::8] // 8
            orders.append((heads[:, :, None] * 8 + within).reshape(n, 32))
        moved = permute_attention(moved, attention, HeadOrders(*orders))
    counts = unit_counts(shapes_of(module), found.permutations)
    units = {p: np.argsort(draws.random((n, count)), axis=1) for p, count in counts.items()}
    moved = permute(moved, found.permutations, units)
    method = Transfusion(heads=pairing)
    back = remove_symmetries(spec, moved, copies.network(0), [method]).networks
    for name, array in copies.items():
        np.testing.assert_array_equal(back[name], array)


def test_the_example_of_timm_on_the_page_is_built_and_traced() -> None:
    timm("resnet10t")
    page = (ROOT / "docs/architectures.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n([^`]*timm:create_model[^`]*)```", page)
    (zoo,) = yaml.safe_load(block)["zoos"].values()
    architecture = build(ModuleConfig.model_validate(zoo["architecture"]))
    assert {"permutation_spec", "rescaling_spec"} <= set(architecture.symmetries)
    spec = architecture.permutation_spec()
    assert len({name for axes in spec.values() for axis in axes for name in named_in(axis)}) == 10
