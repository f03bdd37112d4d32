"""Modules of one's own: run many at once as one by one, aligned by what they state, refused with a reason."""

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
    target = {"import": f"own_networks:{name}"}
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
        together = architecture.forward(parameters, inputs)
        assert together.shape == (N, BATCH, 3)
        for i in range(N):
            module = architecture.module()
            load(module, architecture, parameters.network(i))
            x = inputs if inputs.dim() == 2 else inputs[i]
            torch.testing.assert_close(together[i], module(x.view(BATCH, *shape)), rtol=1e-4, atol=1e-5)


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


def test_without_stated_symmetries_no_axis_is_permuted() -> None:
    spec = own("plain").permutation_spec()
    assert set(spec.values()) == {(None, None), (None,)}
    with pytest.raises(ValueError, match="states no scaling symmetry"):
        own("plain").rescaling_spec()


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
