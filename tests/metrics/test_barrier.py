"""The midpoint barrier equals its definition."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dwf_steps.architectures import build
from dwf_steps.architectures.mlp import MLPArchitecture
from dwf_steps.config.architectures.mlp import MLPConfig
from dwf_steps.datasets.splits import Split
from dwf_steps.metrics.barrier import midpoint_barrier
from dwf_steps.storage.stacked import StackedNetworks
from dwf_steps.symmetry.permutation import permute

Networks = StackedNetworks[np.ndarray]
N = 4


def architecture() -> MLPArchitecture:
    return build(MLPConfig(widths=[5, 8, 6, 3]))


def random_networks(seed: int = 0) -> Networks:
    draws = np.random.default_rng(seed)
    return StackedNetworks(
        {e.name: draws.normal(size=(N, *e.shape)).astype(np.float32) for e in architecture().layout.entries}
    )


def network(networks: Networks, i: int) -> Networks:
    """Return one of the networks, n = 1."""
    return networks.select([i])


def random_split() -> Split:
    draws = np.random.default_rng(1)
    return Split(draws.normal(size=(80, 5)).astype(np.float32), draws.integers(3, size=80))


def loss(networks: Networks) -> float:
    module = architecture().module().double()
    module.load_state_dict(networks.tensors().network(0))
    split = random_split()
    logits = module(torch.from_numpy(split.inputs).double())
    return F.cross_entropy(logits, torch.from_numpy(split.targets)).item()


def test_the_barrier_is_the_midpoints_loss_above_the_mean_of_the_ends() -> None:
    networks, reference = random_networks(), network(random_networks(seed=2), 0)
    found = midpoint_barrier(architecture(), networks, reference, random_split())
    assert found.shape == (N,)
    for i in range(N):
        own = network(networks, i)
        middle = StackedNetworks({name: (array + reference[name]) / 2 for name, array in own.items()})
        expected = loss(middle) - (loss(own) + loss(reference)) / 2
        assert found[i] == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_a_network_has_no_barrier_to_itself() -> None:
    networks = random_networks()
    found = midpoint_barrier(architecture(), networks, network(networks, 2), random_split())
    assert found[2] == pytest.approx(0, abs=1e-6)
    assert (np.abs(np.delete(found, 2)) > 1e-2).all()


def test_a_shuffled_copy_has_a_barrier_although_its_function_is_the_same() -> None:
    networks = random_networks()
    orders = {
        "hidden.0": np.tile(np.roll(np.arange(8), 1), (N, 1)),
        "hidden.1": np.tile(np.roll(np.arange(6), 1), (N, 1)),
    }
    shuffled = permute(networks, architecture().permutation_spec(), orders)
    found = midpoint_barrier(architecture(), shuffled, network(networks, 0), random_split())
    assert abs(found[0]) > 1e-2


def test_a_linear_model_never_has_a_positive_barrier() -> None:
    # Cross-entropy is convex in the weights of a network without hidden layers.
    linear = build(MLPConfig(widths=[5, 3]))
    draws = np.random.default_rng(3)
    networks = StackedNetworks({e.name: draws.normal(size=(20, *e.shape)) for e in linear.layout.entries})
    found = midpoint_barrier(linear, networks, network(networks, 0), random_split())
    assert found[1:].max() < 0
