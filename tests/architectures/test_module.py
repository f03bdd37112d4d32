"""Modules of one's own: run many at once as one by one, aligned by what they state, refused with a reason."""

from typing import Any

import numpy as np
import pytest
import torch

from dwf_steps.architectures import build
from dwf_steps.architectures.base import Architecture
from dwf_steps.config.architectures.module import ModuleConfig
from dwf_steps.config.canonicalization import GitRebasin
from dwf_steps.errors import InputError
from dwf_steps.randomness import torch_generator
from dwf_steps.symmetry.canonical import canonicalize, function_change
from dwf_steps.symmetry.permutation import permute

N, BATCH, SHAPE = 3, 7, (3, 4, 4)


def own(name: str, shape: tuple[int, ...] = (4,), classes: int = 3, **kwargs: Any) -> Architecture:
    target = {"import": f"own_networks:{name}"}
    return build(ModuleConfig.model_validate(target | {"kwargs": kwargs, "shape": shape, "classes": classes}))


def networks(architecture: Architecture, n: int = N) -> dict[str, torch.Tensor]:
    drawn = [architecture.initial_state("default", torch_generator("test", i)) for i in range(n)]
    return {name: torch.stack([one[name] for one in drawn]) for name in drawn[0]}


CASES = [("SmallCNN", SHAPE), ("plain", (4,))]


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
            module.load_state_dict({key: value[i] for key, value in parameters.items()})
            x = inputs if inputs.dim() == 2 else inputs[i]
            torch.testing.assert_close(together[i], module(x.view(BATCH, *shape)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_every_network_gets_its_own_gradient(name: str, shape: tuple[int, ...]) -> None:
    architecture = own(name, shape)
    parameters = {key: value.requires_grad_() for key, value in networks(architecture).items()}
    inputs = torch.randn(N, BATCH, int(np.prod(shape)))
    architecture.forward(parameters, inputs).square().sum().backward()
    module = architecture.module()
    module.load_state_dict({key: value[1].detach() for key, value in parameters.items()})
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
    assert architecture.config.n_parameters == architecture.layout.size
    assert architecture.widest == 5 * 4 * 4
    assert architecture.config.features == 48


def test_a_permuted_copy_is_aligned_to_the_original() -> None:
    architecture = own("SmallCNN", SHAPE)
    original = {name: value[:1].numpy() for name, value in networks(architecture).items()}
    draws = np.random.default_rng(0)
    permutations = {name: draws.permutation(4)[None] for name in ("first", "second")}
    copy = permute(original, architecture.permutation_spec(), permutations)
    probe = np.random.default_rng(1).normal(size=(20, 48)).astype(np.float32)
    assert function_change(architecture, original, copy, probe).max() < 1e-6
    reference = {name: value[0] for name, value in original.items()}
    found = canonicalize(architecture, copy, reference, [GitRebasin()]).networks
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
        ("tied", (3,), 3, r"tied parameters are not supported: 1\.bias, 1\.weight"),
        ("plain", (5,), 3, r"does not take inputs of shape \[5\] .*correct architecture.shape"),
        ("plain", (4,), 2, r"outputs of shape \(1, 3\) for one input, expected \(1, 2\)"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_reason(
    name: str, shape: tuple[int, ...], classes: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        own(name, shape, classes)
