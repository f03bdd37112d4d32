"""Networks that cannot run many at once run one at a time wherever they are run, and come out as alone."""

import logging
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from response_cases import networks_of, own
from torch import Tensor, nn
from torch.nn import functional as F

from dwf_steps.architectures.module import ModuleArchitecture
from dwf_steps.config.dataset import SplitsConfig
from dwf_steps.config.recalibration import BatchNorm, Distill, FineTune, RecalibrationMethod
from dwf_steps.config.zoo import NetworkPlan, TrainingConfig
from dwf_steps.datasets.loading import load_dataset
from dwf_steps.datasets.splits import Dataset
from dwf_steps.metrics.function_change import function_change
from dwf_steps.metrics.scores import predictions_of, score_split
from dwf_steps.recalibration.methods import apply_recalibration
from dwf_steps.representation.capture import Capture
from dwf_steps.representation.decoding import Decoder
from dwf_steps.representation.responses import Sketches, encode
from dwf_steps.representation.tracing import trace
from dwf_steps.runtime.randomness import torch_generator
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.tasks import task_of
from dwf_steps.zoo.training import TrainedNetworks, train_networks

CPU, N = torch.device("cpu"), 3
LOOKS = "data-dependent control flow"
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "GRU": ({"kind": "GRU"}, "Batching rule not implemented for aten::gru"),
    "LSTM": ({"kind": "LSTM"}, "Batching rule not implemented for aten::lstm"),
    "Masked": ({}, LOOKS),
    "Written": ({}, "in-?place"),
    "LooksWhenEvaluated": ({}, r"data-dependent|item\(\)"),
    "Doubled": ({}, r"run together, outputs differ by 0?\.\d+, relative"),
}


def architecture_of(case: str) -> ModuleArchitecture:
    name = case if case in CASES and not CASES[case][0] else "Recurrent"
    architecture = own(f"unbatched_networks:{name}", **CASES[case][0])
    assert isinstance(architecture, ModuleArchitecture)
    return architecture


@cache
def iris() -> Dataset:
    return load_dataset("iris", SplitsConfig(validation=0.25), Path("nowhere"))


def plans() -> list[NetworkPlan]:
    return [NetworkPlan(name=f"seed-{s}", seed=s, initialisation="default") for s in range(N)]


def train(case: str, chosen: list[NetworkPlan]) -> TrainedNetworks:
    # Adam magnifies the rounding of gradients that are zero: of biases that a softmax or a norm takes back.
    config = TrainingConfig(optimizer="sgd", batch_size=16, lr=0.05, epochs=2)
    return train_networks(architecture_of(case), iris(), chosen, config, CPU)


def assert_same(found: StackedNetworks[Tensor], expected: StackedNetworks[Tensor]) -> None:
    """But for rounding: the optimiser takes several weights in one instruction, wherever a network ends."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_one_line_says_so_with_the_reason(case: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "dwf_steps.architectures")
    config = architecture_of(case).config
    caplog.clear()
    built = ModuleArchitecture(config)
    assert built.groups(N, CPU) == [slice(0, 1), slice(1, 2), slice(2, 3)]
    (line,) = (record.getMessage() for record in caplog.records if record.module == "module")
    assert line.startswith(f"{built.config.called} runs one network at a time (")
    assert "\n" not in line
    assert re.search(CASES[case][1], line), line


@pytest.mark.parametrize("case", CASES)
def test_training_is_that_of_a_plain_loop_and_the_same_in_any_shards(case: str) -> None:
    together = train(case, plans()).networks
    for i, plan in enumerate(plans()):
        assert_same(together.select([i]), train(case, [plan]).networks)
    architecture, split = architecture_of(case), iris().train
    module = architecture.module().train()
    module.load_state_dict(architecture.initial_state("default", torch_generator("initial weights", 1)))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.05)
    inputs, targets = torch.from_numpy(split.inputs), torch.from_numpy(split.targets)
    for epoch in range(2):
        order = torch.randperm(len(split), generator=torch_generator("batches", 1, epoch))
        for batch in order.split(16):
            optimizer.zero_grad()
            F.cross_entropy(module(inputs[batch]), targets[batch]).backward()
            optimizer.step()
    for name, value in module.state_dict().items():
        torch.testing.assert_close(together[name][1], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_predictions_and_scores_are_those_of_each_module(case: str) -> None:
    architecture, split = architecture_of(case), iris().test
    networks = networks_of(architecture, N)
    found = predictions_of(architecture, networks, split.inputs, task_of(split.task, None, None))
    scores = score_split(architecture, networks, split)
    for i in range(N):
        module = architecture.module()
        module.load_state_dict(networks.network(i))
        with torch.no_grad():
            logits = module(torch.from_numpy(split.inputs))
        np.testing.assert_allclose(found[i], logits.log_softmax(1), rtol=1e-3, atol=1e-3)  # kept in float16
        assert scores.loss[i] == pytest.approx(F.cross_entropy(logits, torch.from_numpy(split.targets)))
    numbers = networks.numpy()
    assert function_change(architecture, numbers, numbers, split.inputs).max() == 0


@pytest.mark.parametrize("case", CASES)
def test_recalibration_is_that_of_each_network_alone(case: str) -> None:
    architecture, train_split = architecture_of(case), iris().train
    networks = networks_of(architecture, N)
    answers = StackedNetworks({"answers": torch.full((1, 40, 3), 1 / 3)})
    methods: list[RecalibrationMethod] = [
        BatchNorm(examples=60, batch_size=20),
        FineTune(steps=3, batch_size=16),
        Distill(steps=3, probes=40, batch_size=16),
    ]
    references: list[StackedNetworks[Tensor]] = [StackedNetworks(), StackedNetworks(), answers]
    together = apply_recalibration(architecture, networks, methods, train_split, references)
    for i in range(N):
        alone = apply_recalibration(architecture, networks.select([i]), methods, train_split, references)
        assert_same(together.select([i]), alone)
        assert not torch.equal(alone["head.weight"][0], networks["head.weight"][i])


def test_statistics_are_recomputed_behind_recurrent_layers() -> None:
    architecture, train_split = architecture_of("LSTM"), iris().train
    networks = networks_of(architecture, N)
    method = BatchNorm(examples=len(train_split), batch_size=20)
    found = apply_recalibration(architecture, networks, [method], train_split, [StackedNetworks()])
    for i in range(N):
        module = architecture.module()
        module.load_state_dict(networks.network(i))
        seen: list[Tensor] = []
        norm = module.get_submodule("norm")
        assert isinstance(norm, nn.BatchNorm1d)
        norm.register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(inputs[0]))  # type: ignore[misc]
        with torch.no_grad():
            module(torch.from_numpy(train_split.inputs))
        torch.testing.assert_close(found["norm.running_mean"][i], seen[0].mean(0), rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(found["norm.running_var"][i], seen[0].var(0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_responses_and_decoded_networks_are_those_of_each_alone(case: str) -> None:
    architecture = architecture_of(case)
    networks, layers = networks_of(architecture, N), trace(architecture)
    capture = Capture(architecture, torch.from_numpy(iris().train.inputs[:50]), 10**6, seed=3)
    together = capture.responses(networks, layers.layers, slice(None))
    for i in range(N):
        alone = capture.responses(networks.select([i]), layers.layers, slice(None))
        assert alone.keys() == together.keys() == {layer.name for layer in layers.layers}
        assert all(torch.equal(together[name][i], value[0]) for name, value in alone.items())
    sketches = Sketches(capture, layers, 1000, seed=0)
    sketches.add(networks)
    shapes = {entry.name: entry.shape for entry in architecture.layout.entries}
    basis = sketches.basis(shapes, networks.select([0]))
    coordinates = encode(capture, basis, networks)[0]
    buffers = networks.only(architecture.buffers)
    decoder = Decoder(capture, basis, ridge=1e-12)
    decoded = decoder.decode(coordinates, buffers)
    for i in range(N):
        some = buffers.select([i])
        alone_again = decoder.decode(coordinates[[i]], some)
        for name, value in alone_again.items():
            torch.testing.assert_close(decoded[name][i], value[0], rtol=1e-5, atol=1e-6)


def test_values_at_every_step_of_recurrent_layers_count() -> None:
    architecture = own("unbatched_networks:Recurrent", kind="GRU", layers=2)
    assert isinstance(architecture, ModuleArchitecture)
    assert architecture.widest == 4 * 5 * 3  # steps, states, gates
    steps = 4 * (15 * 1 + 15 * 5 + 2 * 15 * 5)
    assert architecture.multiplications == steps + 5 * 6 + 6 * 3


def test_a_network_that_torch_func_can_run_runs_with_others() -> None:
    architecture = own("own_networks:plain")
    assert architecture.groups(N, CPU) == [slice(0, N)]
