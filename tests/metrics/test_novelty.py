"""Overlap of mistakes equals set arithmetic."""

import numpy as np
import pytest

from dwf_steps.metrics.novelty import wrong_set_iou


def sets_of(wrong: np.ndarray) -> list[set[int]]:
    return [set(np.flatnonzero(row).tolist()) for row in wrong]


@pytest.mark.parametrize("share", [0.02, 0.2, 0.9])
def test_iou_is_set_arithmetic(share: float) -> None:
    draws = np.random.default_rng(0)
    wrong, other = draws.random((8, 50)) < share, draws.random((5, 50)) < share
    found = wrong_set_iou(wrong, other)
    assert found.shape == (8, 5)
    for i, a in enumerate(sets_of(wrong)):
        for j, b in enumerate(sets_of(other)):
            expected = len(a & b) / len(a | b) if a | b else 1.0
            assert found[i, j] == pytest.approx(expected, rel=1e-12)


def test_two_networks_without_mistakes_are_alike() -> None:
    wrong = np.array([[False, False, False], [True, False, False]])
    assert wrong_set_iou(wrong, wrong).tolist() == [[1, 0], [0, 1]]


def test_iou_of_many_items_counts_exactly() -> None:
    wrong = np.random.default_rng(1).random((2, 100_000)) < 0.6
    both, either = (wrong[0] & wrong[1]).sum(), (wrong[0] | wrong[1]).sum()
    assert wrong_set_iou(wrong[:1], wrong[1:]).item() == both / either
