"""Recalibration: what each method promises, on random networks and iris-sized data."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from sklearn.linear_model import Ridge
from torch.nn import functional as F

from dwf_steps.architectures import build
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.config.recalibration import Distill, FineTune, LastLayer, Repair
from dwf_steps.datasets.probes import choose_probes
from dwf_steps.datasets.splits import Split
from dwf_steps.recalibration.distill import distill
from dwf_steps.recalibration.last_layer import refit_last_layer
from dwf_steps.recalibration.methods import apply_recalibration
from dwf_steps.recalibration.repair import repair
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.tasks import task_of

ARCHITECTURE = build(MLPConfig(widths=[5, 30, 20, 3]))
N = 4

Networks = StackedNetworks[torch.Tensor]


def networks(seed: int = 0) -> Networks:
    draws = torch.Generator().manual_seed(seed)
    return StackedNetworks(
        {e.name: torch.randn(N, *e.shape, generator=draws) / 2 for e in ARCHITECTURE.layout.entries}
    )


@pytest.fixture(scope="module")
def train() -> Split:
    x, y = make_classification(600, 5, n_informative=5, n_redundant=0, n_classes=3, random_state=0)
    return Split(x.astype(np.float32), y)


def accuracy(parameters: Networks, split: Split) -> np.ndarray:
    logits = ARCHITECTURE.forward(parameters, torch.from_numpy(split.inputs))
    return (logits.argmax(-1).numpy() == split.targets).mean(axis=1)


def penultimate(parameters: Networks, i: int, inputs: torch.Tensor) -> torch.Tensor:
    """Return what the last layer of network i sees, one layer at a time."""
    for layer in range(2):
        inputs = torch.relu(
            inputs @ parameters[f"layers.{layer}.weight"][i].T + parameters[f"layers.{layer}.bias"][i]
        )
    return inputs


def test_the_refitted_layer_is_scikit_learns_ridge_regression_up_to_a_factor(train: Split) -> None:
    before, inputs = networks(), torch.from_numpy(train.inputs)
    after = refit_last_layer(ARCHITECTURE, before, inputs, torch.from_numpy(train.targets), ridge=0.1)
    for i in range(N):
        hidden = penultimate(before, i, inputs).double().numpy()
        centred = hidden - hidden.mean(axis=0)
        penalty = 0.1 * np.square(centred).sum(axis=0).mean()
        theirs = Ridge(alpha=penalty).fit(hidden, np.eye(3)[train.targets])
        weight, bias = (after[f"layers.2.{name}"][i].double().numpy() for name in ("weight", "bias"))
        factor = np.linalg.norm(weight) / np.linalg.norm(theirs.coef_)
        np.testing.assert_allclose(weight, factor * theirs.coef_, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(bias, factor * theirs.intercept_, rtol=1e-4, atol=1e-5)
    for name in before:
        if not name.startswith("layers.2"):
            assert torch.equal(before[name], after[name])


def test_the_factor_of_the_refitted_outputs_is_the_best_there_is(train: Split) -> None:
    inputs, targets = torch.from_numpy(train.inputs), torch.from_numpy(train.targets)
    after = refit_last_layer(ARCHITECTURE, networks(), inputs, targets, ridge=0.1)

    def loss(factor: float) -> torch.Tensor:
        logits = factor * ARCHITECTURE.forward(after, inputs)
        return torch.stack([F.cross_entropy(one, targets) for one in logits])

    for factor in (0.8, 1.25):
        assert (loss(1.0) < loss(factor)).all()


def test_a_refitted_last_layer_helps_random_networks(train: Split) -> None:
    after = apply_recalibration(ARCHITECTURE, networks(), [LastLayer()], train, [{}])
    assert (accuracy(after, train) > accuracy(networks(), train) + 0.1).all()


def test_a_network_whose_units_are_dead_learns_the_classes_shares(train: Split) -> None:
    dead = networks().replaced({"layers.1.bias": torch.full((N, 20), -1e3)})
    after = apply_recalibration(ARCHITECTURE, dead, [LastLayer()], train, [{}])
    assert all(value.isfinite().all() for value in after.values())


def statistics(parameters: Networks, inputs: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(z.mean(1), z.std(1)) for z in ARCHITECTURE.hidden_layers(parameters, inputs)]


def test_repaired_units_have_the_mean_statistics_of_the_references(train: Split) -> None:
    inputs, reference = torch.from_numpy(train.inputs), networks(1)
    after = repair(ARCHITECTURE, networks(), reference, inputs)
    for found, wanted in zip(statistics(after, inputs), statistics(reference, inputs), strict=True):
        for own, theirs in zip(found, wanted, strict=True):
            torch.testing.assert_close(own, theirs.mean(0).expand_as(own), rtol=1e-3, atol=1e-4)


def test_repairing_a_network_with_its_own_statistics_changes_nothing(train: Split) -> None:
    one = networks().select(slice(1))
    after = repair(ARCHITECTURE, one, one, torch.from_numpy(train.inputs))
    for name in one:
        torch.testing.assert_close(after[name], one[name], rtol=1e-4, atol=1e-5)


def test_fine_tuning_is_adam_on_each_network_alone(train: Split) -> None:
    method = FineTune(steps=5, examples=None, batch_size=len(train), lr=0.01)
    after = apply_recalibration(ARCHITECTURE, networks(), [method], train, [{}])
    for i in range(N):
        module = ARCHITECTURE.module()
        module.load_state_dict(networks().network(i))
        optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
        for _ in range(5):
            optimizer.zero_grad()
            F.cross_entropy(
                module(torch.from_numpy(train.inputs)), torch.from_numpy(train.targets)
            ).backward()
            optimizer.step()
        for name, value in module.state_dict().items():
            torch.testing.assert_close(after[name][i], value, rtol=1e-3, atol=1e-4)


METHODS = [LastLayer(), Repair(), FineTune()]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.method)
def test_a_network_is_recalibrated_whatever_others_are_with_it(train: Split, method: LastLayer) -> None:
    at_once = apply_recalibration(ARCHITECTURE, networks(), [method], train, [networks(1)])
    alone = apply_recalibration(ARCHITECTURE, networks().select(slice(2, 3)), [method], train, [networks(1)])
    for name, value in alone.items():
        torch.testing.assert_close(at_once[name][2:3], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.method)
def test_only_the_examples_drawn_by_seed_play_a_part(train: Split, method: LastLayer) -> None:
    first = method.model_copy(update={"examples": 50, "seed": 3})
    order = torch.randperm(len(train))  # positions that were drawn hold the same examples
    from dwf_steps.runtime.randomness import torch_generator

    drawn = torch.randperm(len(train), generator=torch_generator("recalibration", 3))[:50].numpy()
    other = Split(train.inputs[order.numpy()] + 5, train.targets[order.numpy()])
    other.inputs[drawn], other.targets[drawn] = train.inputs[drawn], train.targets[drawn]
    found = [
        apply_recalibration(ARCHITECTURE, networks(), [first], split, [networks(1)])
        for split in (train, other)
    ]
    for name in found[0]:
        assert torch.equal(found[0][name], found[1][name])


def test_distilling_moves_predictions_towards_the_answers_and_uses_no_labels(train: Split) -> None:
    inputs = torch.from_numpy(train.inputs)
    with torch.no_grad():
        answers = ARCHITECTURE.forward(networks(1), inputs).softmax(-1).mean(0)
    task, before = task_of(train.task, train.tolerance, train.scale), networks()

    def apart(some: Networks) -> torch.Tensor:
        with torch.no_grad():
            return task.distillation_losses(ARCHITECTURE.forward(some, inputs), answers).mean(1)

    shuffled = replace(train, targets=train.targets[::-1].copy())
    method = Distill(probes=len(train), steps=60, batch_size=64)
    order = choose_probes(train, len(train), 0)
    with torch.no_grad():
        in_order = ARCHITECTURE.forward(networks(1), torch.from_numpy(order.inputs)).softmax(-1).mean(0)
    reference = StackedNetworks({"answers": in_order[None]})
    after = apply_recalibration(ARCHITECTURE, before, [method], train, [reference])
    assert (apart(after) < 0.7 * apart(before)).all()
    unlabelled = apply_recalibration(ARCHITECTURE, before, [method], shuffled, [reference])
    for name, value in after.items():
        assert torch.equal(value, unlabelled[name])


def test_distilling_treats_every_network_by_itself(train: Split) -> None:
    inputs, answers = torch.from_numpy(train.inputs), torch.eye(3)[torch.from_numpy(train.targets)]
    task = task_of(train.task, train.tolerance, train.scale)
    method = Distill(probes=200, steps=5)
    at_once = distill(ARCHITECTURE, networks(), inputs, answers, method, task)
    alone = distill(ARCHITECTURE, networks().select(slice(2, 3)), inputs, answers, method, task)
    for name, value in alone.items():
        torch.testing.assert_close(at_once[name][2:3], value)
