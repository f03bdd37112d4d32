"""Running statistics are those of all examples, for many networks at once and for each by itself."""

import numpy as np
import pytest
import torch
from own_networks import with_batch_norm
from torch import nn

from dwf_steps.architectures import batch_norm, build
from dwf_steps.architectures.batch_norm import recompute_statistics
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.architectures.module import ModuleConfig
from dwf_steps.config.recalibration import BatchNorm, ReferenceStatistics
from dwf_steps.datasets.splits import Split
from dwf_steps.recalibration.methods import apply_recalibration, references_of
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.matrix import Row, WeightMatrix
from dwf_steps.storage.stacked import StackedNetworks

N, EXAMPLES = 3, 40
ARCHITECTURE = build(
    ModuleConfig.model_validate({"import": "own_networks:with_batch_norm", "shape": [4], "classes": 3})
)

Networks = StackedNetworks[torch.Tensor]


def networks(n: int = N) -> Networks:
    drawn = [ARCHITECTURE.initial_state("default", torch_generator("test", i)) for i in range(n)]
    return StackedNetworks.stack(drawn, torch.stack)


def inputs(m: int = EXAMPLES) -> torch.Tensor:
    return 3 * torch.randn(m, 4, generator=torch_generator("inputs", 0)) + 2


def first_layer(stacked: Networks, i: int, x: torch.Tensor) -> torch.Tensor:
    return x @ stacked["0.weight"][i].T + stacked["0.bias"][i]


@pytest.mark.parametrize("batch_size", [EXAMPLES, 10, 17, 13, EXAMPLES - 1])  # 40 = 3 * 13 + 1
def test_statistics_of_a_first_layer_are_exact_whatever_the_batches(batch_size: int) -> None:
    before = networks()
    after = recompute_statistics(ARCHITECTURE, before, inputs(), batch_size)
    for i in range(N):
        seen = first_layer(before, i, inputs()).double()
        torch.testing.assert_close(after["1.running_mean"][i], seen.mean(0).float())
        torch.testing.assert_close(after["1.running_var"][i], seen.var(0).float())
    for name, value in networks().items():
        assert torch.equal(before[name], value)
        if ".running_" not in name:
            assert torch.equal(after[name], value)


def test_one_batch_of_a_deep_network_is_what_a_momentum_of_one_keeps() -> None:
    deep = ModuleConfig.model_validate(
        {"import": "own_networks:deep_batch_norm", "shape": [3, 5, 5], "classes": 3}
    )
    architecture = build(deep)
    drawn = [architecture.initial_state("default", torch_generator("test", i)) for i in range(N)]
    stacked = StackedNetworks.stack(drawn, torch.stack)
    x = torch.randn(12, 75)
    after = recompute_statistics(architecture, stacked, x, 12)
    for i, state in enumerate(drawn):
        module = architecture.module().train()
        module.load_state_dict(state)
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.momentum = 1.0
        module(x.view(12, 3, 5, 5))
        for name, value in module.state_dict().items():
            if ".running_" in name:
                torch.testing.assert_close(after[name][i], value, rtol=1e-4, atol=1e-5)


def test_batches_of_images_count_every_place() -> None:
    deep = ModuleConfig.model_validate(
        {"import": "own_networks:deep_batch_norm", "shape": [3, 5, 5], "classes": 3}
    )
    architecture = build(deep)
    state = StackedNetworks.of_one(architecture.initial_state("default", torch_generator("test", 0)))
    x = torch.randn(13, 75) * torch.arange(1, 14)[:, None]
    after = recompute_statistics(architecture, state, x, 5)
    seen = nn.functional.conv2d(x.view(13, 3, 5, 5), state["0.weight"][0], state["0.bias"][0], padding=1)
    seen = seen.double().transpose(0, 1).flatten(1)
    torch.testing.assert_close(after["1.running_mean"][0], seen.mean(1).float(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(after["1.running_var"][0], seen.var(1).float(), rtol=1e-4, atol=1e-5)


def test_networks_in_groups_are_recalibrated_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = recompute_statistics(ARCHITECTURE, networks(), inputs(), 10)
    monkeypatch.setattr(batch_norm, "ACTIVATIONS_BYTES", 1)
    one_by_one = recompute_statistics(ARCHITECTURE, networks(), inputs(), 10)
    for name, value in at_once.items():
        torch.testing.assert_close(one_by_one[name], value)


def test_networks_without_batch_normalisation_come_back_as_they_are() -> None:
    architecture = build(MLPConfig(widths=[4, 3]))
    state = {"layers.0.weight": torch.randn(2, 3, 4), "layers.0.bias": torch.randn(2, 3)}
    after = recompute_statistics(architecture, state, inputs(), 10)
    assert all(torch.equal(after[name], value) for name, value in state.items())


def test_the_methods_use_training_examples_and_a_training_network(tmp_path) -> None:
    stacked = networks()
    arrays = stacked.numpy()
    arrays["1.running_mean"] += np.arange(N, dtype=np.float32)[:, None]
    matrix = WeightMatrix.create(
        tmp_path / "weights.zarr",
        ARCHITECTURE.layout,
        [Row(f"seed-{i}") for i in range(N)],
        {},
        buffers={name: arrays[name] for name in ARCHITECTURE.buffers},
    )
    train = Split(inputs(300).numpy(), np.zeros(300, dtype=int))
    methods = [ReferenceStatistics(network=2), BatchNorm(examples=100, batch_size=50)]
    for chosen in ([methods[0]], methods):
        references = [found.tensors() for found in references_of(chosen, matrix, ARCHITECTURE, train)]
        after = apply_recalibration(ARCHITECTURE, stacked, chosen, train, references)
        if len(chosen) == 1:
            expected = torch.full((N, 5), 2.0)
            torch.testing.assert_close(after["1.running_mean"], expected)
            assert after["1.num_batches_tracked"].dtype == torch.int64
        else:
            drawn = torch.randperm(300, generator=torch_generator("recalibration", 0))[:100]
            seen = first_layer(stacked, 1, inputs(300)[drawn])
            torch.testing.assert_close(after["1.running_mean"][1], seen.mean(0), rtol=1e-4, atol=1e-5)


def test_outputs_after_recalibration_are_those_of_training_on_one_batch() -> None:
    after = recompute_statistics(ARCHITECTURE, networks(), inputs(), EXAMPLES)
    module = with_batch_norm()
    module.load_state_dict(after.network(1))
    biased = (EXAMPLES - 1) / EXAMPLES
    module[1].running_var *= biased
    torch.testing.assert_close(module.eval()(inputs()), module.train()(inputs()), rtol=1e-4, atol=1e-5)
