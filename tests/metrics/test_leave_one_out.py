"""A zoo's own values, recomputed by leaving each network out with all that it descends with."""

import numpy as np
import pytest

import dwf_steps.subspace.gram as gram_module
from dwf_steps.metrics.leave_one_out import (
    max_squared_cosine,
    nearest_others,
    share_in_span,
    without_relatives,
)

ALONE, PAIRS, UNEVEN = [0, 1, 2, 3, 4, 5], [0, 0, 1, 1, 2, 2], [2, 0, 2, 1, 0, 2]


def zoo(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)) + 3


def gram(rows: np.ndarray) -> np.ndarray:
    centred = rows - rows.mean(axis=0)
    return centred @ centred.T


def seen_from_others(rows: np.ndarray, trajectories: np.ndarray, i: int) -> tuple[np.ndarray, np.ndarray]:
    others = rows[trajectories != trajectories[i]]
    return rows[i] - others.mean(axis=0), others - others.mean(axis=0)


@pytest.mark.parametrize("trajectories", [ALONE, PAIRS, UNEVEN])
@pytest.mark.parametrize("d", [40, 5, 4, 3, 2])
def test_share_in_span_is_that_of_least_squares_on_the_others(trajectories: list[int], d: int) -> None:
    rows, expected = zoo(6, d), []
    for i in range(6):
        row, others = seen_from_others(rows, np.array(trajectories), i)
        projection = others.T @ np.linalg.lstsq(others.T, row, rcond=None)[0]
        expected.append((projection @ projection) / (row @ row))
    np.testing.assert_allclose(share_in_span(gram(rows), np.array(trajectories)), expected, atol=1e-9)


def test_only_the_rows_that_depend_on_each_other_are_wholly_in_the_span() -> None:
    rows = zoo(6, 40)
    rows[5] = 2 * rows[3] - rows[4]
    shares = share_in_span(gram(rows), np.arange(6))
    np.testing.assert_allclose(shares[3:], 1, atol=1e-9)
    assert (shares[:3] < 0.9).all()


def test_rows_that_depend_on_their_own_trajectory_alone_are_not_in_the_span() -> None:
    rows = zoo(6, 40)
    rows[5] = 2 * rows[3] - rows[4]
    assert (share_in_span(gram(rows), np.array([0, 1, 2, 3, 3, 3])) < 0.9).all()


@pytest.mark.parametrize("trajectories", [ALONE, PAIRS, UNEVEN])
@pytest.mark.parametrize("held_out", [0, 3])
def test_the_nearest_is_of_another_trajectory_and_held_out_networks_have_none_of_their_own(
    trajectories: list[int], held_out: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, kinds = zoo(6 + held_out, 5), np.array(trajectories)
    centred = rows - rows[:6].mean(axis=0)
    monkeypatch.setattr(gram_module, "BLOCK_BYTES", 8 * 6 * 4)  # four rows at a time
    nearest, distances = nearest_others(centred @ centred.T, kinds)
    assert len(nearest) == len(distances) == 6 + held_out
    for i, row in enumerate(rows):
        others = [j for j in range(6) if i >= 6 or kinds[j] != kinds[i]]
        apart = [np.linalg.norm(row - rows[j]) for j in others]
        assert distances[i] == pytest.approx(min(apart))
        assert nearest[i] == others[int(np.argmin(apart))]


@pytest.mark.parametrize("trajectories", [ALONE, PAIRS, UNEVEN])
def test_max_squared_cosine_is_the_largest_squared_cosine_with_another(trajectories: list[int]) -> None:
    rows, kinds, expected = zoo(6, 5), np.array(trajectories), []
    for i in range(6):
        row, others = seen_from_others(rows, kinds, i)
        cosines = others @ row / (np.linalg.norm(others, axis=1) * np.linalg.norm(row))
        expected.append((cosines**2).max())
    np.testing.assert_allclose(max_squared_cosine(gram(rows), kinds), expected, atol=1e-12)
    np.testing.assert_allclose(max_squared_cosine(gram(rows), kinds, slice(2, 5)), expected[2:5], atol=1e-12)


def test_relatives_are_left_out() -> None:
    values, nan = np.arange(12.0).reshape(2, 6), np.nan
    found = without_relatives(values, np.array(UNEVEN), nan, slice(1, 3))
    np.testing.assert_array_equal(found, [[0, nan, 2, 3, nan, 5], [nan, 7, nan, 9, 10, nan]])
