"""ResNets: torchvision's own network in keys and outputs, permuted and aligned with their statistics."""

import numpy as np
import pytest
import torch
from torch import nn

from dwf_steps.architectures import build
from dwf_steps.architectures.resnet import ResNetArchitecture
from dwf_steps.config.architectures.images import ResNetConfig
from dwf_steps.config.canonicalization import GitRebasin
from dwf_steps.metrics.function_change import function_change
from dwf_steps.runtime.libraries import torchvision
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.symmetry.canonical import remove_symmetries
from dwf_steps.symmetry.permutation import permute
from dwf_steps.symmetry.spec import unit_counts

N, SIZE = 3, 8
KINDS = ["resnet20", "resnet18"]


def narrow(kind: str) -> ResNetArchitecture:
    return build(ResNetConfig(kind=kind, width_multiplier=0.1, image_size=SIZE, classes=4))


def networks(architecture: ResNetArchitecture, n: int = N) -> dict[str, torch.Tensor]:
    """Return networks whose running statistics are not those of new ones."""
    drawn = [architecture.initial_state("default", torch_generator("test", i)) for i in range(n)]
    stacked = StackedNetworks.stack(drawn, torch.stack)
    inputs = torch.randn(n, 20, 3 * SIZE * SIZE, generator=torch_generator("inputs", 0))
    with torch.no_grad():
        architecture.forward(stacked, inputs, training=True)
    return stacked


def test_resnet18_is_torchvisions_with_another_stem() -> None:
    architecture = build(ResNetConfig(kind="resnet18", classes=10))
    stock = torchvision("models").resnet18(num_classes=10)
    stock.conv1, stock.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    own = architecture.module()
    stock.load_state_dict(own.state_dict())
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(own(images), stock.eval()(images))
    assert architecture.layout.size == 11_173_962


def test_resnet20_has_the_published_size() -> None:
    # 0.27 million (He et al. 2016, table 6), projections in the two shortcuts that change size included.
    assert build(ResNetConfig(kind="resnet20", classes=10)).layout.size == 272_474


@pytest.mark.parametrize("multiplier", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_sizes_are_known_without_building(kind: str, multiplier: float) -> None:
    config = ResNetConfig(kind=kind, width_multiplier=multiplier, image_size=SIZE, classes=4)
    architecture = build(config)
    assert config.n_parameters == architecture.layout.size
    assert max(config.layers) == architecture.widest


@pytest.mark.parametrize("kind", KINDS)
def test_many_networks_say_what_each_says(kind: str) -> None:
    architecture = narrow(kind)
    stacked = networks(architecture)
    inputs = torch.randn(5, 3 * SIZE * SIZE)
    at_once = architecture.forward(stacked, inputs)
    for i in range(N):
        module = architecture.module()
        module.load_state_dict(stacked.network(i))
        expected = module(inputs.view(5, 3, SIZE, SIZE))
        torch.testing.assert_close(at_once[i], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("n", [1, N])
def test_training_moves_statistics_and_counters_as_pytorch_does(n: int) -> None:
    architecture = narrow("resnet20")
    drawn = [architecture.initial_state("default", torch_generator("test", i)) for i in range(n)]
    stacked = StackedNetworks.stack(drawn, torch.stack)
    inputs = torch.randn(2, n, 6, 3 * SIZE * SIZE)
    for batch in inputs:
        architecture.forward(stacked, batch, training=True)
    for i, state in enumerate(drawn):
        module = architecture.module().train()
        module.load_state_dict(state)
        for batch in inputs:
            module(batch[i].view(6, 3, SIZE, SIZE))
        for name, value in module.state_dict().items():
            torch.testing.assert_close(stacked[name][i], value, rtol=1e-3, atol=1e-4)
    assert stacked["bn1.num_batches_tracked"].tolist() == [2] * n


@pytest.mark.parametrize("kind", KINDS)
def test_a_permuted_copy_computes_the_same_and_is_aligned_to_distance_zero(kind: str) -> None:
    architecture = narrow(kind)
    original = networks(architecture).map(lambda value: value[:1].numpy())
    spec, draws = architecture.permutation_spec(), np.random.default_rng(0)
    assert spec.keys() == original.keys()
    counts = unit_counts({name: array.shape[1:] for name, array in original.items()}, spec)
    stages, blocks = len(architecture.config.widths), architecture.config.blocks
    assert len(counts) == stages + stages * blocks
    orders = {name: draws.permutation(units)[None] for name, units in counts.items()}
    copy = permute(original, spec, orders)
    assert not np.array_equal(copy["layer2.0.bn1.running_mean"], original["layer2.0.bn1.running_mean"])
    probe = np.random.default_rng(1).normal(size=(20, 3 * SIZE * SIZE)).astype(np.float32)
    assert function_change(architecture, original, copy, probe).max() < 1e-6
    reference = original.network(0)
    found = remove_symmetries(architecture.symmetry_spec(), copy, reference, [GitRebasin()]).networks
    for name, value in original.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6)


def test_statistics_play_no_part_in_matching() -> None:
    architecture = narrow("resnet20")
    arrays = networks(architecture).numpy()
    reference = arrays.network(0)
    other = StackedNetworks(
        {name: value + 100 if name in architecture.buffers else value for name, value in reference.items()}
    )
    first, second = (
        remove_symmetries(architecture.symmetry_spec(), arrays, one, [GitRebasin()])
        for one in (reference, other)
    )
    for name in arrays:
        np.testing.assert_array_equal(first.networks[name], second.networks[name])
