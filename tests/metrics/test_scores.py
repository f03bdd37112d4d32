"""Batched scores equal those of each network alone."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dwf_steps.architectures import build
from dwf_steps.architectures.mlp import MLPArchitecture
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.datasets.splits import Split
from dwf_steps.metrics import scores as scores_module
from dwf_steps.metrics.scores import score_split
from dwf_steps.storage.stacked import StackedNetworks

Networks = StackedNetworks[torch.Tensor]
N, M = 6, 53


def architecture_of(widths: list[int]) -> MLPArchitecture:
    return build(MLPConfig(widths=widths))


def random_networks(architecture: MLPArchitecture) -> Networks:
    draws = torch.Generator().manual_seed(0)
    return StackedNetworks(
        {e.name: torch.randn(N, *e.shape, generator=draws) for e in architecture.layout.entries}
    )


def random_split(features: int, classes: int) -> Split:
    draws = np.random.default_rng(1)
    return Split(draws.normal(size=(M, features)).astype(np.float32), draws.integers(classes, size=M))


@pytest.mark.parametrize("widths", [[4, 3], [4, 8, 3], [5, 7, 6, 4]])
def test_scores_are_those_of_every_network_alone(widths: list[int]) -> None:
    architecture, split = architecture_of(widths), random_split(widths[0], widths[-1])
    networks = random_networks(architecture)
    scores = score_split(architecture, networks, split)
    inputs, targets = torch.from_numpy(split.inputs), torch.from_numpy(split.targets)
    for i in range(N):
        module = architecture.module()
        module.load_state_dict(networks.network(i))
        logits = module(inputs).detach()
        assert scores.loss[i] == pytest.approx(F.cross_entropy(logits, targets).item(), rel=1e-5)
        assert scores.accuracy[i] == (logits.argmax(1) == targets).double().mean().item()


@pytest.mark.parametrize("examples", [1, 10, 52, M, 1000])
def test_scores_do_not_depend_on_the_block_size(examples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    architecture, split = architecture_of([4, 8, 3]), random_split(4, 3)
    networks = random_networks(architecture)
    whole = score_split(architecture, networks, split)
    monkeypatch.setattr(scores_module, "ACTIVATIONS_BYTES", {"cpu": examples * N * 8 * 4})
    blocks = score_split(architecture, networks, split)
    np.testing.assert_array_equal(blocks.accuracy, whole.accuracy)
    np.testing.assert_allclose(blocks.loss, whole.loss, rtol=1e-6)


def test_even_one_example_beyond_the_budget_is_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    architecture, split = architecture_of([4, 8, 3]), random_split(4, 3)
    whole = score_split(architecture, random_networks(architecture), split)
    monkeypatch.setattr(scores_module, "ACTIVATIONS_BYTES", {"cpu": 1})
    again = score_split(architecture, random_networks(architecture), split)
    np.testing.assert_array_equal(again.accuracy, whole.accuracy)


def test_a_network_of_zeros_is_as_good_as_a_guess() -> None:
    architecture, split = architecture_of([4, 8, 3]), random_split(4, 3)
    networks = random_networks(architecture).map(lambda value: torch.zeros_like(value))
    np.testing.assert_allclose(score_split(architecture, networks, split).loss, np.log(3), rtol=1e-6)


def test_a_networks_nan_stays_in_its_own_scores() -> None:
    architecture, split = architecture_of([4, 8, 3]), random_split(4, 3)
    networks = random_networks(architecture)
    healthy = score_split(architecture, networks, split)
    networks["layers.1.bias"][2] = torch.nan
    broken = score_split(architecture, networks, split)
    assert np.isnan(broken.loss).tolist() == [i == 2 for i in range(N)]
    np.testing.assert_array_equal(np.delete(broken.loss, 2), np.delete(healthy.loss, 2))
    np.testing.assert_array_equal(np.delete(broken.accuracy, 2), np.delete(healthy.accuracy, 2))


def test_double_precision_networks_are_scored_in_double_precision() -> None:
    architecture, split = architecture_of([4, 8, 3]), random_split(4, 3)
    networks = random_networks(architecture).map(lambda value: value.double())
    logits = architecture.forward(networks, torch.from_numpy(split.inputs).double())
    targets = torch.from_numpy(split.targets)
    expected = [F.cross_entropy(own, targets).item() for own in logits]
    np.testing.assert_allclose(score_split(architecture, networks, split).loss, expected, rtol=1e-12)


def test_scoring_keeps_no_gradients() -> None:
    architecture, split = architecture_of([4, 8, 3]), random_split(4, 3)
    networks = random_networks(architecture).map(lambda value: value.requires_grad_())
    score_split(architecture, networks, split)
    assert all(value.grad is None for value in networks.values())
