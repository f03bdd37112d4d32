"""Modules of one's own: run many at once as one by one, aligned by what they state, refused with a reason."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import own_networks
import pytest
import torch
from safetensors.torch import load_model

from dwf_steps.architectures import build
from dwf_steps.architectures.base import Architecture
from dwf_steps.architectures.loading import load_network
from dwf_steps.config.architectures.module import ModuleConfig
from dwf_steps.config.canonicalization import GitRebasin
from dwf_steps.metrics.function_change import function_change
from dwf_steps.pipeline.network_facts import network_facts
from dwf_steps.runtime.errors import InputError
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.networks import save_network
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.symmetry.canonical import remove_symmetries
from dwf_steps.symmetry.permutation import permute
from dwf_steps.zoo.importing import import_networks

N, BATCH, SHAPE = 3, 7, (3, 4, 4)


def own(name: str, shape: tuple[int, ...] = (4,), classes: int = 3, **kwargs: Any) -> Architecture:
    target = {"import": name if ":" in name else f"own_networks:{name}"}
    return build(ModuleConfig.model_validate(target | {"kwargs": kwargs, "shape": shape, "classes": classes}))


def networks(architecture: Architecture, n: int = N) -> StackedNetworks[torch.Tensor]:
    drawn = [architecture.initial_state("default", torch_generator("test", i)) for i in range(n)]
    return StackedNetworks.stack(drawn, torch.stack)


def load(module: torch.nn.Module, architecture: Architecture, state: dict[str, torch.Tensor]) -> None:
    module.load_state_dict(state | {name: state[kept] for name, kept in architecture.tied.items()})


CASES = [("SmallCNN", SHAPE), ("plain", (4,)), ("tied", (3,))]


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_many_networks_say_what_each_says(name: str, shape: tuple[int, ...]) -> None:
    architecture = own(name, shape)
    parameters = networks(architecture)
    features = int(np.prod(shape))
    for inputs in (torch.randn(BATCH, features), torch.randn(N, BATCH, features)):
        at_once = architecture.forward(parameters, inputs)
        assert at_once.shape == (N, BATCH, 3)
        for i in range(N):
            module = architecture.module()
            load(module, architecture, parameters.network(i))
            x = inputs if inputs.dim() == 2 else inputs[i]
            torch.testing.assert_close(at_once[i], module(x.view(BATCH, *shape)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_every_network_gets_its_own_gradient(name: str, shape: tuple[int, ...]) -> None:
    architecture = own(name, shape)
    parameters = networks(architecture).map(lambda value: value.requires_grad_())
    inputs = torch.randn(N, BATCH, int(np.prod(shape)))
    architecture.forward(parameters, inputs).square().sum().backward()
    module = architecture.module()
    load(module, architecture, parameters.map(torch.Tensor.detach).network(1))
    module(inputs[1].view(BATCH, *shape)).square().sum().backward()
    for key, value in module.named_parameters():
        assert parameters[key].grad is not None and value.grad is not None
        torch.testing.assert_close(parameters[key].grad[1], value.grad, rtol=1e-3, atol=1e-4)


def test_first_weights_depend_on_the_seed_alone() -> None:
    architecture = own("plain")
    before = torch.get_rng_state()
    first, again = networks(architecture), networks(architecture)
    assert torch.equal(torch.get_rng_state(), before)
    for name, value in first.items():
        assert torch.equal(value, again[name])
        assert not torch.equal(value[0], value[1])
    with pytest.raises(ValueError, match="initialises itself; found 'he'"):
        architecture.initial_state("he", torch_generator("test", 0))


def test_sizes_are_those_of_the_module() -> None:
    architecture = own("SmallCNN", SHAPE, channels=5)
    module = architecture.module()
    assert architecture.layout.size == sum(p.numel() for p in module.parameters())
    assert network_facts(architecture.config).n_parameters == architecture.layout.size
    assert architecture.widest == 5 * 4 * 4
    assert architecture.config.features == 48


def test_a_permuted_copy_is_aligned_to_the_original() -> None:
    architecture = own("SmallCNN", SHAPE)
    original = networks(architecture).map(lambda value: value[:1].numpy())
    draws = np.random.default_rng(0)
    permutations = {name: draws.permutation(4)[None] for name in ("first", "second")}
    copy = permute(original, architecture.permutation_spec(), permutations)
    probe = np.random.default_rng(1).normal(size=(20, 48)).astype(np.float32)
    assert function_change(architecture, original, copy, probe).max() < 1e-6
    reference = original.network(0)
    found = remove_symmetries(architecture.symmetry_spec(), copy, reference, [GitRebasin()]).networks
    for name, value in original.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6)


def test_without_stated_symmetries_those_are_used_that_tracing_finds() -> None:
    architecture = own("plain")
    assert architecture.symmetries == ("permutation_spec",)
    assert architecture.permutation_spec() == {
        "0.weight": ("0", None),
        "0.bias": ("0",),
        "2.weight": (None, "0"),
        "2.bias": (None,),
    }
    with pytest.raises(ValueError, match="states no scaling symmetry"):
        architecture.rescaling_spec()
    assert network_facts(architecture.config).most_units == 5


def test_what_is_stated_comes_before_what_is_found() -> None:
    found = own("ReluCNN", SHAPE)
    assert found.symmetries == ("permutation_spec", "rescaling_spec")
    assert found.rescaling_spec() == own_networks.ReluCNN().rescaling_spec()
    assert found.permutation_spec()["second.weight"] == ("second", "first", None, None)
    stated = own("SmallCNN", SHAPE)
    assert stated.symmetries == ("permutation_spec",), "and a module that states permutations is not traced"


def test_modules_without_symmetries_have_none_and_say_why() -> None:
    architecture = own("mistaken_networks:SingleUnstated")
    assert architecture.symmetries == ()
    assert set(architecture.permutation_spec().values()) == {(None, None), (None,)}
    facts = network_facts(architecture.config)
    assert "it cannot be traced in float64 (RuntimeError: " in facts.untraced
    assert facts.most_units == 1


@pytest.mark.parametrize(
    ("name", "shape", "classes", "message"),
    [
        ("nothing", (4,), 3, "own_networks:nothing cannot be imported .*expected package.module:callable"),
        ("no_module", (4,), 3, "returned int, expected a torch.nn.Module"),
        ("cumulative_batch_norm", (4,), 3, r"1 keeps no running statistics .*momentum=None"),
        ("with_a_mask", (4,), 3, r"mask is a buffer of torch.bool, expected float32 or int64"),
        ("with_dropout", (4,), 3, r"dropout is not supported.*\(1\)"),
        ("plain", (5,), 3, r"does not take inputs of shape \[5\] .*correct architecture.shape"),
        ("plain", (4,), 2, r"outputs of shape \(1, 3\) for one input, expected \(1, 2\)"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_reason(
    name: str, shape: tuple[int, ...], classes: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        own(name, shape, classes)


def test_tied_parameters_are_one_and_stay_one(tmp_path: Path) -> None:
    architecture = own("tied", (3,))
    assert architecture.tied == {"1.weight": "0.weight", "1.bias": "0.bias"}
    assert architecture.layout.size == 12
    state = networks(architecture, 1).map(lambda value: value[0].numpy())
    assert list(state) == ["0.weight", "0.bias"]
    path = tmp_path / "a.safetensors"
    save_network(path, state, architecture.config.model_dump())
    for module in (own_networks.tied(), load_network(path)):
        load_model(module, path)  # safetensors' own way of loading what is shared
        assert module[1].weight is module[0].weight
        np.testing.assert_array_equal(module[1].weight.detach().numpy(), state["0.weight"])


def test_tied_parameters_are_imported_under_any_of_their_names(tmp_path: Path) -> None:
    architecture = own("tied", (3,))
    full = own_networks.tied().state_dict()
    expected = {name: full[name].numpy() for name in ("0.weight", "0.bias")}
    later = {name: value for name, value in full.items() if name.startswith("1")}
    other = full | {"1.bias": full["1.bias"] + 1}
    paths = []
    for name, state in (("full", full), ("other", other)):
        paths.append(tmp_path / f"{name}.pt")
        torch.save(state, paths[-1])
    torch.save({name: value + 1 for name, value in later.items()}, later_path := tmp_path / "later.pt")
    found = import_networks([paths[0], later_path], expected, {}, architecture.tied)
    np.testing.assert_array_equal(found["0.bias"][0], expected["0.bias"])
    np.testing.assert_array_equal(found["0.bias"][1], expected["0.bias"] + 1)
    with pytest.raises(InputError, match=r"other.pt: 1\.bias and 0\.bias are tied .*, but differ"):
        import_networks(paths, expected, {}, architecture.tied)


@pytest.mark.parametrize(
    ("name", "kwargs", "part"),
    [
        ("drop_path", {}, r"1.1 \(DropPath\)"),
        ("layer_drop", {}, r"1.1 \(LayerDrop\)"),
        ("noise", {}, r"1.1 \(Noise\)"),
        ("own_generator", {}, r"1.1 \(OwnGenerator\)"),
        ("functional", {}, r"1.1 \(Functional\)"),
        ("randomized_relu", {}, r"1.1 \(RReLU\)"),
        ("attention", {"dropout": 0.1}, r"1.1 \(Attention\)"),
        ("Recurrent", {"kind": "LSTM", "layers": 2, "dropout": 0.5}, r"cell \(LSTM\)"),
        ("NoisyLinear", {}, r"the module itself \(NoisyLinear\)"),
    ],
)
def test_whatever_draws_random_numbers_while_training_is_refused_by_its_name(
    name: str, kwargs: dict[str, Any], part: str
) -> None:
    with pytest.raises(InputError, match=f"draws random numbers while training, in {part}, which is not"):
        own(f"random_networks:{name}", **kwargs)


def test_what_could_draw_but_does_not_is_no_reason_to_refuse() -> None:
    state, legacy = random.getstate(), np.random.get_state(legacy=False)  # noqa: NPY002
    before = torch.get_rng_state()
    for name, kwargs in (("attention", {"dropout": 0.0}), ("Recurrent", {"kind": "LSTM", "layers": 2})):
        architecture = own(f"random_networks:{name}", **kwargs)
        drawn = [architecture.initial_state("default", torch_generator("test", i)) for i in (1, 1, 2)]
        assert all(torch.equal(value, drawn[1][key]) for key, value in drawn[0].items())
        assert not all(torch.equal(value, drawn[2][key]) for key, value in drawn[0].items())
    assert random.getstate() == state
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_equal(np.random.get_state(legacy=False), legacy)  # noqa: NPY002


def test_first_weights_from_any_global_generator_depend_on_the_seed_alone() -> None:
    architecture = own("random_networks:first_weights_of_others")
    first, again, other = (
        architecture.initial_state("default", torch_generator("test", i)) for i in (1, 1, 2)
    )
    for name, value in first.items():
        assert torch.equal(value, again[name])
        assert not torch.equal(value, other[name])


def test_first_weights_that_no_seed_decides_are_refused() -> None:
    architecture = own("random_networks:first_weights_of_nobody")
    with pytest.raises(InputError, match="the first weights of bias are not the same when"):
        architecture.initial_state("default", torch_generator("test", 0))


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_networks_that_cannot_run_many_at_once_run_one_by_one(kind: str) -> None:
    architecture = own("random_networks:Recurrent", kind=kind)
    parameters = networks(architecture).map(lambda value: value.requires_grad_())
    inputs = torch.randn(N, BATCH, 4)
    at_once = architecture.forward(parameters, inputs, training=True)
    at_once.square().sum().backward()
    for i in range(N):
        module = architecture.module().train()
        load(module, architecture, parameters.map(lambda value: value.detach()).network(i))
        alone = module(inputs[i])
        torch.testing.assert_close(at_once[i], alone)
        alone.square().sum().backward()
        for key, value in module.named_parameters():
            assert parameters[key].grad is not None and value.grad is not None
            torch.testing.assert_close(parameters[key].grad[i], value.grad)


def test_constants_outside_the_state_dict_follow_the_networks_precision() -> None:
    architecture = own("mistaken_networks:Fixed")
    before = networks(architecture).numpy()
    assert "turned" not in before
    probe = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    found = remove_symmetries(architecture.symmetry_spec(), before, before.network(0), [GitRebasin()])
    assert function_change(architecture, before, found.networks, probe).max() < 1e-12
    double = networks(architecture).map(lambda value: value.double())
    inputs = torch.from_numpy(probe).double()
    outputs = architecture.forward(double, inputs)
    turned = inputs.flip(1)
    hidden = (turned @ double["a.weight"].mT + double["a.bias"].unsqueeze(1)).relu()
    expected = hidden @ double["b.weight"].mT + double["b.bias"].unsqueeze(1)
    assert outputs.dtype == torch.float64
    torch.testing.assert_close(outputs, expected)
    assert architecture.forward(networks(architecture), torch.from_numpy(probe)).dtype == torch.float32


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("Perceptron", {"widht": 3}, r"calling it with \(widht=3\) failed \(TypeError: .*unexpected keyword"),
        ("Perceptron", {"width": "5"}, r"failed \(TypeError: .*mistaken_networks.py line \d+\)"),
        ("Perceptron", {"width": -1}, "failed .* correct architecture.kwargs"),
        ("FailsWhenTrained", {}, r"fails on two examples while training \(RuntimeError: no training, mis"),
        (
            "Auxiliary",
            {},
            r"returned tuple for two examples while training, expected a tensor of shape",
        ),
        ("lazy", {}, "1.weight has no shape yet; state its input's size"),
        ("double", {}, "weight is a parameter of torch.float64, expected float32"),
        ("empty", {}, "has no parameters"),
        ("Talkative", {}, r"returned dict for one input, expected a tensor of shape \(1, 3\)"),
        ("Single", {}, r"states symmetries \(permutation_spec\), but cannot compute in float64"),
        ("NoSpec", {}, "permutation_spec: returned NoneType, expected a mapping"),
        ("FailingSpec", {}, r"permutation_spec: KeyError: 'layers', mistaken_networks.py line \d+"),
        ("WrongScales", {}, "rescaling_spec: b.bias is listed as outgoing, but has one axis"),
        (
            "OtherSizes",
            {},
            "rescaling_spec: applies one scale to different numbers of units: 5 of a.weight, 4 of",
        ),
        ("NoList", {}, r"rescaling_spec: returned \['a.weight'\], expected a list of .*spec.Rescaling"),
        ("WrongHeads", {}, "attention_spec: b.weight has 5 columns, which 2 heads cannot share"),
        (
            "WrongHeads",
            {"width": 4, "change": {"x": ("h",)}},
            "permutation_spec: names x, expected names of",
        ),
        (
            "Perceptron",
            {"change": {"a.bias": "left out"}},
            "permutation_spec: lacks a.bias; name every",
        ),
        ("Perceptron", {"change": {"a.bias": "h"}}, "permutation_spec: a.bias has 'h', expected a tuple"),
        (
            "Perceptron",
            {"change": {"a.bias": ["h", None]}},
            "a.bias has .*, expected 1 entries, one",
        ),
        (
            "Perceptron",
            {"change": {"a.bias": [3]}},
            "a.bias has 3 for an axis, expected a perm",
        ),
        ("Perceptron", {"change": {"b.bias": ["h"]}}, "axis 0 of b.bias has 3 units, other axes of h have 5"),
    ],
)
def test_a_mistake_in_a_users_module_is_one_line_that_names_it(
    name: str, kwargs: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=f"^mistaken_networks:{name}: .*{message}") as caught:
        own(f"mistaken_networks:{name}", **kwargs)
    assert "\n" not in str(caught.value)


def test_a_partial_is_called_like_a_function() -> None:
    assert own("mistaken_networks:Made").layout.size == (4 + 1) * 7 + (7 + 1) * 3
