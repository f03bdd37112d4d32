"""The data-copying statistic equals its definition, and what it must be for copies and for equals."""

import itertools

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import kstest, mannwhitneyu, norm
from sklearn.cluster import KMeans

from dwf_steps.metrics import data_copying as module
from dwf_steps.metrics.data_copying import (
    cell_count,
    data_copying,
    data_copying_in_cells,
    kmeans_cells,
)


def distances(count: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).gamma(3, size=count) + shift


@pytest.mark.parametrize(("m", "n"), [(7, 5), (100, 20), (3, 40)])
@pytest.mark.parametrize("shift", [-1.5, 0.0, 0.8])
def test_it_is_the_z_score_of_scipys_test(m: int, n: int, shift: float) -> None:
    generated, held_out = distances(m, 0, shift), distances(n, 1)
    found = mannwhitneyu(generated, held_out, alternative="less", use_continuity=False, method="asymptotic")
    assert data_copying(generated, held_out) == pytest.approx(norm.ppf(found.pvalue), rel=1e-9)


def test_it_counts_pairs_and_ties_half() -> None:
    generated, held_out = [1.0, 2.0, 2.0, 5.0], [2.0, 3.0, 0.5]
    above = sum((g > h) + 0.5 * (g == h) for g, h in itertools.product(generated, held_out))
    expected = (above - 6) / np.sqrt(12 * 8 / 12)
    assert data_copying(np.array(generated), np.array(held_out)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("m", "n"), [(100, 10), (100, 100), (6, 2)])
def test_copies_reach_the_lowest_value_and_networks_far_away_the_highest(m: int, n: int) -> None:
    lowest = -np.sqrt(3 * m * n / (m + n + 1))
    held_out = distances(n, 0, shift=1.0)
    assert data_copying(np.zeros(m), held_out) == pytest.approx(lowest, rel=1e-12)
    assert data_copying(distances(m, 1) + held_out.max(), held_out) == pytest.approx(-lowest, rel=1e-12)


def test_of_networks_from_one_distribution_it_is_standard_normal() -> None:
    values = [data_copying(distances(60, 2 * i), distances(40, 2 * i + 1)) for i in range(400)]
    assert kstest(values, norm.cdf).pvalue > 0.01


def test_equal_distances_of_all_say_nothing() -> None:
    assert data_copying(np.zeros(5), np.zeros(4)) == 0


@pytest.mark.parametrize(("m", "n"), [(0, 3), (3, 0), (0, 0)])
def test_without_either_there_is_no_value(m: int, n: int) -> None:
    assert np.isnan(data_copying(distances(m, 0), distances(n, 1)))


def test_over_cells_it_is_the_mean_weighted_by_held_out_networks() -> None:
    cells, held_out_cells = np.repeat([0, 1, 2], [30, 25, 19]), np.repeat([0, 1, 2], [10, 40, 15])
    generated, held_out = distances(74, 0), distances(65, 1)
    expected = (
        10 * data_copying(generated[:30], held_out[:10])
        + 40 * data_copying(generated[30:55], held_out[10:50])
    ) / 50
    found = data_copying_in_cells(generated, held_out, cells, held_out_cells)
    assert found == pytest.approx(expected, rel=1e-12)


def test_copies_in_one_cell_do_not_hide_behind_distant_networks_in_another() -> None:
    held_out, cells = np.ones(200) + distances(200, 0) / 100, np.repeat([0, 1], 100)
    generated = np.repeat([0.0, 5.0], 100)
    assert data_copying(generated, held_out) == pytest.approx(0)
    held_out_cells = np.repeat([0, 1], [160, 40])
    assert data_copying_in_cells(generated, held_out, cells, held_out_cells) < -5


def test_a_cell_without_held_out_networks_is_left_out() -> None:
    generated, held_out = distances(60, 0), distances(20, 1)
    cells = np.repeat([0, 1], 30)
    found = data_copying_in_cells(generated, held_out, cells, np.zeros(20, int))
    assert found == data_copying(generated[:30], held_out)


def test_where_every_cell_has_too_few_networks_there_is_no_value() -> None:
    generated, held_out = distances(module.FEWEST_IN_CELL - 1, 0), distances(20, 1)
    cells = np.zeros(len(generated), int), np.zeros(20, int)
    assert np.isnan(data_copying_in_cells(generated, held_out, *cells))
    assert np.isnan(data_copying_in_cells(generated, held_out[:0], cells[0], cells[1][:0]))


@pytest.mark.parametrize(("held_out", "cells"), [(0, 1), (79, 1), (80, 2), (1000, 25)])
def test_cells_have_forty_held_out_networks_on_average(held_out: int, cells: int) -> None:
    assert cell_count(held_out) == cells


def test_groups_that_lie_apart_are_the_cells() -> None:
    draws = np.random.default_rng(0)
    groups = np.repeat(np.arange(4), [30, 20, 25, 5])
    points = 10 * np.eye(4)[groups] + draws.normal(size=(80, 4))
    cells = kmeans_cells(cdist(points, points) ** 2, 4, draws)
    assert len(set(zip(groups, cells, strict=True))) == 4 == len(set(cells))


def test_cells_are_as_tight_as_those_of_scikit_learn() -> None:
    points = np.random.default_rng(1).normal(size=(150, 3))
    cells = kmeans_cells(cdist(points, points) ** 2, 5, np.random.default_rng(2))
    inertia = sum(
        ((points[cells == cell] - points[cells == cell].mean(axis=0)) ** 2).sum() for cell in set(cells)
    )
    expected = KMeans(5, n_init=module.RESTARTS, random_state=0).fit(points)
    assert inertia == pytest.approx(expected.inertia_, rel=0.02)
    centres = np.stack([points[cells == cell].mean(axis=0) for cell in range(5)])
    np.testing.assert_array_equal(cells, cdist(points, centres).argmin(axis=1))


def test_equal_points_are_one_cell() -> None:
    np.testing.assert_array_equal(kmeans_cells(np.zeros((6, 6)), 3, np.random.default_rng(0)), 0)
