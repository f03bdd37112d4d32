"""A step of many networks is a step of each: in groups, clipped, in half precision, at any learning rate."""

import pytest
import torch
from torch import Tensor

from dwf_steps.architectures import build, module
from dwf_steps.architectures.base import Architecture
from dwf_steps.config.architectures.images import ResNetConfig
from dwf_steps.config.zoo import TrainingConfig
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.tasks.classification import Classification
from dwf_steps.zoo.optimization import clip_gradients, learning_rate, make_optimizer, take_step

N, B = 5, 6


def architecture() -> Architecture:
    return build(ResNetConfig(kind="resnet20", width_multiplier=0.1, image_size=8, classes=3))


def after_steps(
    training: TrainingConfig, steps: int = 3, shared: bool = False, copied: bool = False
) -> dict[str, Tensor]:
    network = architecture()
    drawn = [network.initial_state("default", torch_generator("test", i)) for i in range(N)]
    networks = StackedNetworks.stack(drawn, torch.stack)
    trained = [value.requires_grad_() for value in network.parameters_of(networks).values()]
    optimizer = make_optimizer(trained, training)
    draws = torch_generator("inputs", 0)
    for _ in range(steps):
        inputs = torch.randn(N, B, 3 * 64, generator=draws)
        targets = torch.randint(3, (N, B), generator=draws)
        if shared:
            inputs, targets = inputs[0], targets[0]
        if copied:
            inputs, targets = inputs[0].expand(N, -1, -1), targets[0].expand(N, -1)
        take_step(network, networks, optimizer, inputs, targets, training, Classification().losses)
    return networks.map(lambda value: value.detach())


@pytest.mark.parametrize("group_size", [1, 2, 4])
def test_networks_in_groups_take_the_same_steps(monkeypatch: pytest.MonkeyPatch, group_size: int) -> None:
    training = TrainingConfig(optimizer="sgd", lr=0.1, momentum=0.9, weight_decay=1e-3)
    at_once = after_steps(training)
    multiplications = architecture().config.multiplications
    monkeypatch.setattr(module, "GROUP_MULTIPLICATIONS", {"cpu": group_size * multiplications})
    assert len(architecture().groups(N, torch.device("cpu"))) == -(-N // group_size)
    for name, value in after_steps(training).items():
        torch.testing.assert_close(value, at_once[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("group_size", [1, 2, N])
def test_sharing_inputs_is_giving_each_network_a_copy(
    monkeypatch: pytest.MonkeyPatch, group_size: int
) -> None:
    training = TrainingConfig(optimizer="sgd", lr=0.1)
    multiplications = architecture().config.multiplications
    monkeypatch.setattr(module, "GROUP_MULTIPLICATIONS", {"cpu": group_size * multiplications})
    copied = after_steps(training, copied=True)
    for name, value in after_steps(training, shared=True).items():
        torch.testing.assert_close(value, copied[name], rtol=1e-3, atol=1e-4)


def test_channels_last_and_half_precision_change_rounding_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROUP_MULTIPLICATIONS", {"cpu": 1})
    plain = after_steps(TrainingConfig(optimizer="sgd", lr=0.01))
    turned = after_steps(TrainingConfig(optimizer="sgd", lr=0.01, channels_last=True))
    mixed = after_steps(TrainingConfig(optimizer="sgd", lr=0.01, precision="bfloat16"))
    for name, value in plain.items():
        torch.testing.assert_close(turned[name], value, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(mixed[name], value, rtol=0.1, atol=0.02)
        assert mixed[name].dtype == value.dtype
    assert any(not torch.equal(mixed[name], value) for name, value in plain.items())


def test_each_networks_gradient_is_clipped_to_the_norm() -> None:
    parameters = [torch.zeros(3, 4, 2, requires_grad=True), torch.zeros(3, 5, requires_grad=True)]
    for value in parameters:
        value.grad = torch.ones_like(value) * torch.tensor([0.1, 1.0, 100.0]).view(
            3, *[1] * (value.dim() - 1)
        )
    before = [value.grad.clone() for value in parameters if value.grad is not None]
    clip_gradients(parameters, 2.0)
    for i, scale in enumerate([1.0, 2 / 13**0.5, 2 / (100 * 13**0.5)]):
        for value, old in zip(parameters, before, strict=True):
            assert value.grad is not None
            torch.testing.assert_close(value.grad[i], scale * old[i])


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_the_learning_rate_rises_and_falls(schedule: str) -> None:
    training = TrainingConfig.model_validate({"lr": 2.0, "schedule": schedule, "warmup": 0.1})
    rates = [learning_rate(training, step, 100) for step in range(101)]
    assert rates[:10] == pytest.approx([0.2 * (i + 1) for i in range(10)])
    half = {"constant": 2.0, "linear": 1.0, "cosine": 1.0}[schedule]
    assert rates[10] == pytest.approx(2) and rates[55] == pytest.approx(half)
    assert rates[100] == pytest.approx(2.0 if schedule == "constant" else 0.0)
    plain = TrainingConfig.model_validate({"lr": 2.0, "schedule": schedule})
    assert learning_rate(plain, 0, 100) == pytest.approx(2)
