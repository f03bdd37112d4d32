"""A device whose memory is exhausted: what runs at once is halved, and the results are the same."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dwf_steps.architectures import build
from dwf_steps.architectures.base import Architecture
from dwf_steps.architectures.module import FunctionalArchitecture
from dwf_steps.config.architectures.images import ResNetConfig
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.generators.flow_sampling import FlowSampling
from dwf_steps.config.generators.velocity import VelocityConfig
from dwf_steps.config.zoo import TrainingConfig
from dwf_steps.datasets.splits import Split
from dwf_steps.flow.fields import Batch, VelocityField
from dwf_steps.flow.solve import integrate
from dwf_steps.flow.velocity import VelocityMLP
from dwf_steps.metrics.scores import score_split
from dwf_steps.representation.capture import Capture
from dwf_steps.representation.decoding import Decoder
from dwf_steps.representation.responses import Sketches, encode
from dwf_steps.representation.tracing import trace
from dwf_steps.runtime import command_line
from dwf_steps.runtime.memory import in_halves
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.tasks.classification import Classification
from dwf_steps.zoo.optimization import make_optimizer, take_step

N, CPU = 5, torch.device("cpu")
MESSAGE = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.25 GiB of which "
    "1.00 GiB is free. Of the allocated memory 70.00 GiB is allocated by PyTorch, and 1.00 GiB is reserved"
)


def exhausted() -> torch.OutOfMemoryError:
    return torch.OutOfMemoryError(MESSAGE)


def small_resnet() -> FunctionalArchitecture:
    architecture = build(ResNetConfig(kind="resnet20", width_multiplier=0.0625, classes=3))
    assert isinstance(architecture, FunctionalArchitecture)
    return architecture


def networks_of(architecture: Architecture) -> StackedNetworks[Tensor]:
    drawn = [architecture.initial_state("default", torch_generator("memory", i)) for i in range(N)]
    return StackedNetworks.stack(drawn, torch.stack)


def hold_at_most(
    monkeypatch: pytest.MonkeyPatch, architecture: Architecture, most: int, backward: bool = False
) -> list[int]:
    """Let passes of more than ``most`` networks at once exhaust the memory, after all of the forward pass or
    in the midst of the ``backward`` pass; return the list to which how many were run is added."""
    sizes: list[int] = []
    method = "_run" if isinstance(architecture, FunctionalArchitecture) else "forward"
    run = getattr(architecture, method)

    def limited(networks: StackedNetworks[Tensor], inputs: Tensor, *more: Any) -> Tensor:
        sizes.append(networks.count)
        outputs: Tensor = run(networks, inputs, *more)
        if networks.count <= most:
            return outputs
        if not backward:
            raise exhausted()
        # The last layer's gradients are in place when it fails, those of the others are not.
        return _FailsBackward.apply(outputs.clone(), next(iter(networks.values())))

    monkeypatch.setattr(architecture, method, limited)
    monkeypatch.setattr(architecture, "at_once", lambda n, _device: n, raising=True)
    return sizes


class _FailsBackward(torch.autograd.Function):
    """Adds to a gradient, and fails."""

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, parameter: Tensor) -> Tensor:
        ctx.parameter = parameter
        return outputs

    @staticmethod
    def backward(ctx: Any, *_gradients: Tensor) -> Any:
        ctx.parameter.grad = torch.ones_like(ctx.parameter)
        raise exhausted()


def test_half_as_much_is_run_at_once_until_it_fits() -> None:
    sizes = []

    def run(size: int) -> str:
        sizes.append(size)
        if size > 2:
            raise exhausted()
        return "done"

    assert in_halves(9, run, "networks") == ("done", 2)
    assert sizes == [9, 5, 3, 2]


def test_what_does_not_fit_one_by_one_and_other_errors_are_raised() -> None:
    def fail(error: Exception) -> Callable[[int], None]:
        def run(_size: int) -> None:
            raise error

        return run

    with pytest.raises(torch.OutOfMemoryError):
        in_halves(9, fail(exhausted()), "networks")
    with pytest.raises(RuntimeError, match="shapes"):
        in_halves(9, fail(RuntimeError("shapes differ")), "networks")
    with pytest.raises(RuntimeError, match="ALLOC_FAILED"):
        in_halves(1, fail(RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate")), "networks")


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("make", [small_resnet, lambda: build(MLPConfig(widths=[12, 5, 3]))])
def test_a_step_of_training_in_halves_is_the_same(
    make: Callable[[], Architecture], backward: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Running statistics have moved once, and gradients are no one's twice."""
    found = []
    for most in (N, 2):
        architecture = make()
        networks = networks_of(architecture)
        shape = (N, 6, 12) if isinstance(architecture.config, MLPConfig) else (N, 6, 3072)
        inputs = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        targets = torch.arange(6).remainder(3).expand(N, 6)
        training = TrainingConfig(optimizer="sgd", lr=0.1, momentum=0.9)
        trained = [value.requires_grad_() for value in architecture.parameters_of(networks).values()]
        optimizer = make_optimizer(trained, training)
        sizes = hold_at_most(monkeypatch, architecture, most, backward)
        for _ in range(2):
            take_step(architecture, networks, optimizer, inputs, targets, training, Classification().losses)
        found.append(networks.numpy())
    assert sizes == [5, 3, 2, 2, 1, 2, 2, 1]  # remembered from the first step on
    for name, expected in found[0].items():
        np.testing.assert_allclose(found[1][name], expected, rtol=1e-4, atol=1e-5)


def test_scores_in_halves_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """First fewer networks, then, where one alone is too many, fewer examples."""
    inputs = np.random.default_rng(0).standard_normal((7, 3072)).astype(np.float32)
    split = Split(inputs, np.arange(7) % 3)
    expected = score_split(small_resnet(), networks_of(small_resnet()), split)
    architecture = small_resnet()
    run = architecture._run
    passes = []

    def limited(networks: StackedNetworks[Tensor], shaped: Tensor, *more: Any) -> Tensor:
        passes.append((networks.count, len(shaped)))
        if networks.count > 1 or len(shaped) > 4:
            raise exhausted()
        return run(networks, shaped, *more)

    monkeypatch.setattr(architecture, "_run", limited)
    monkeypatch.setattr(architecture, "at_once", lambda n, _device: n)
    found = score_split(architecture, networks_of(architecture), split)
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-5)
    assert (1, 7) in passes and (1, 4) in passes


def batch_of_points(points: int) -> Batch:
    draws = torch.Generator().manual_seed(0)
    t = torch.rand(points, 1, generator=draws)
    x, u, x1 = (torch.randn(points, 4, generator=draws) for _ in range(3))
    return Batch(t, x, u, x1)


class _Limited(VelocityMLP):
    """Whose memory is exhausted by more than so many points."""

    most: int

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        if len(x) > self.most:
            raise exhausted()
        return super().forward(t, x)


def velocity(most: int) -> _Limited:
    torch.manual_seed(0)
    network = _Limited(4, VelocityConfig(width=8, time_embedding=4, dropout=0.0))
    torch.nn.init.normal_(network.output.weight)
    network.most = most
    return network


def test_a_flow_in_halves_has_the_same_gradients_and_samples() -> None:
    batch, found = batch_of_points(9), []
    for most in (9, 2):
        network = velocity(most)
        field = VelocityField(network)
        loss = field.backward(batch)
        ends, _ = integrate(field, batch.x, FlowSampling(steps=3))
        gradients = {name: value.grad for name, value in network.named_parameters()}
        found.append({"loss": loss, "ends": ends} | gradients)
    assert network.chunk_size == 2
    for name, expected in found[0].items():
        torch.testing.assert_close(found[1][name], expected)


def test_responses_in_halves_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for most in (N, 2):
        architecture = build(MLPConfig(widths=[12, 5, 3]))
        probes = torch.randn(20, 12, generator=torch.Generator().manual_seed(0))
        capture = Capture(architecture, probes, positions=1, seed=0)
        networks = networks_of(architecture)
        call, held = architecture.call, most

        def limited(network: Any, inputs: Tensor, call: Any = call, held: int = held) -> Tensor:
            value = next(iter(network.values()))
            if torch._C._functorch.is_batchedtensor(value):
                batched = torch._C._functorch.get_unwrapped(value)
                if len(batched) > held:
                    raise exhausted()
            result: Tensor = call(network, inputs)
            return result

        monkeypatch.setattr(architecture, "call", limited)
        sketches = Sketches(capture, trace(architecture), 10, seed=0)
        sketches.add(networks)
        shapes = {entry.name: entry.shape for entry in architecture.layout.entries}
        basis = sketches.basis(shapes, networks.select([0]))
        coordinates, _ = encode(capture, basis, networks)
        decoded = Decoder(capture, basis).decode(coordinates, StackedNetworks())
        found.append({"coordinates": coordinates.abs().numpy(), **decoded.numpy()})
    assert architecture.groups(N, CPU)[0] == slice(0, 2)
    for name, expected in found[0].items():
        np.testing.assert_allclose(found[1][name], expected, rtol=1e-3, atol=1e-4)


def test_a_step_says_what_to_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)

    def main() -> None:
        F.relu(torch.zeros(1))
        raise exhausted()

    with pytest.raises(SystemExit) as ended:
        command_line.run(main)
    message = str(ended.value)
    assert "79.25 GiB of which 1.00 GiB is free" in message
    assert "shard_size" in message and "batch_size" in message and "sampling.samples" in message
