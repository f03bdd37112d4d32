"""Optimal-transport coupling is the best pairing of a minibatch."""

from itertools import permutations

import pytest
import torch
from torch import Tensor

from dwf_steps.flow.coupling import couple


def random_batch(n: int, k: int, seed: int) -> tuple[Tensor, Tensor]:
    draws = torch.Generator().manual_seed(seed)
    return torch.randn(n, k, generator=draws), torch.randn(n, k, generator=draws)


def cost(x0: Tensor, x1: Tensor) -> float:
    return float((x0.double() - x1.double()).square().sum())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("k", [1, 3, 20])
def test_ot_costs_as_little_as_the_best_of_all_pairings(seed: int, k: int) -> None:
    x0, x1 = random_batch(6, k, seed)
    best = min(cost(x0, x1[list(order)]) for order in permutations(range(6)))
    assert cost(x0, x1[couple(x0, x1, "ot")]) == pytest.approx(best, rel=1e-6)
    assert cost(x0, x1) > best


@pytest.mark.parametrize("n", [1, 2, 64])
def test_ot_reorders_the_targets_and_loses_none(n: int) -> None:
    x0, x1 = random_batch(n, 4, seed=0)
    coupled = x1[couple(x0, x1, "ot")]
    assert coupled.shape == x1.shape
    rows = {tuple(row) for row in x1.tolist()}
    assert len(rows) == n
    assert {tuple(row) for row in coupled.tolist()} == rows


def test_ot_finds_the_partners_of_slightly_moved_points() -> None:
    x0, noise = random_batch(50, 5, seed=1)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(2))
    moved = x0 + 1e-3 * noise
    assert torch.equal(moved[order][couple(x0, moved[order], "ot")], moved)


def test_in_one_dimension_ot_sorts() -> None:
    x0, x1 = random_batch(30, 1, seed=3)
    coupled = x1[couple(x0, x1, "ot")]
    assert torch.equal(coupled[x0.flatten().argsort()].flatten(), x1.flatten().sort().values)


def test_independent_coupling_keeps_the_order_drawn() -> None:
    x0, x1 = random_batch(10, 3, seed=4)
    assert torch.equal(x1[couple(x0, x1, "independent")], x1)
