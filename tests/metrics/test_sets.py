"""Set metrics equal their definitions, and known values on points of a line."""

from dataclasses import astuple
from itertools import permutations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from dwf_steps.metrics.sets import (
    PRDC,
    Transport,
    mean_over_pairs,
    own_radii,
    prdc,
    wasserstein,
    wasserstein_to_zoo,
)


def points(n: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 3)) + shift


def prdc_of(real: np.ndarray, generated: np.ndarray, neighbours: int = 5) -> PRDC:
    radii, generated_radii = (own_radii(cdist(own, own), neighbours) for own in (real, generated))
    return prdc(radii, generated_radii, cdist(generated, real), neighbours)


def radius(own: np.ndarray, i: int, neighbours: int) -> float:
    return sorted(np.linalg.norm(own[i] - own[j]) for j in range(len(own)) if j != i)[neighbours - 1]


@pytest.mark.parametrize("neighbours", [1, 3, 5])
@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_prdc_is_its_definition(neighbours: int, shift: float) -> None:
    real, generated = points(20, seed=0), points(13, seed=1, shift=shift)
    found = prdc_of(real, generated, neighbours)
    in_real = [
        [np.linalg.norm(y - x) <= radius(real, i, neighbours) for i, x in enumerate(real)] for y in generated
    ]
    in_generated = [
        [np.linalg.norm(y - x) <= radius(generated, j, neighbours) for x in real]
        for j, y in enumerate(generated)
    ]
    assert found.precision == np.mean([any(row) for row in in_real])
    assert found.recall == np.mean([any(column) for column in zip(*in_generated, strict=True)])
    assert found.density == pytest.approx(sum(map(sum, in_real)) / (neighbours * 13), rel=1e-12)
    assert found.coverage == np.mean([any(column) for column in zip(*in_real, strict=True)])


def test_copies_of_the_zoo_are_perfect() -> None:
    real = points(20, seed=0)
    found = prdc_of(real, real)
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    assert found.density >= 1


def test_generated_far_away_is_worth_nothing() -> None:
    assert prdc_of(points(20, seed=0), points(20, seed=1, shift=100)) == PRDC(0, 0, 0, 0)


def test_one_point_many_times_is_precise_but_covers_little() -> None:
    real = np.arange(10.0)[:, None]
    found = prdc_of(real, np.full((6, 1), 4.1), neighbours=1)
    assert (found.precision, found.density) == (1, 2)
    assert (found.recall, found.coverage) == (0, 0.2)


@pytest.mark.parametrize(("n", "k"), [(5, 9), (9, 4)])
def test_too_few_points_have_no_neighbours(n: int, k: int) -> None:
    assert np.isnan(astuple(prdc_of(points(n, seed=0), points(k, seed=1)))).all()


def test_wasserstein_is_the_best_of_all_matchings() -> None:
    across = cdist(points(6, seed=0), points(6, seed=1))
    best = min(np.mean([across[i, j] ** 2 for i, j in enumerate(s)]) for s in permutations(range(6)))
    assert wasserstein(across) == pytest.approx(best**0.5, rel=1e-12)


def test_wasserstein_of_a_shifted_and_shuffled_set_is_the_shift() -> None:
    own = points(30, seed=0)
    other = own[::-1] + np.array([3.0, 0.0, 4.0])
    assert wasserstein(cdist(own, other)) == pytest.approx(5, rel=1e-9)
    assert wasserstein(cdist(own, own[::-1])) == pytest.approx(0, abs=1e-12)


def test_wasserstein_needs_sets_of_one_size() -> None:
    with pytest.raises(ValueError, match="sets of 3 and 4 points"):
        wasserstein(np.zeros((3, 4)))


def to_zoo(generated: np.ndarray, zoo: np.ndarray, trajectories: np.ndarray | None = None) -> Transport:
    trajectories = np.arange(len(zoo)) if trajectories is None else trajectories
    return wasserstein_to_zoo(cdist(generated, zoo), zoo @ zoo.T, trajectories, np.random.default_rng(4))


@pytest.mark.parametrize(("k", "n", "size"), [(40, 20, 10), (7, 20, 7), (3, 5, 2), (1, 2, 1)])
def test_distance_and_baseline_are_of_sets_of_one_size(k: int, n: int, size: int) -> None:
    zoo, generated = points(n, seed=0), points(k, seed=1)
    found = to_zoo(generated, zoo)
    assert found.size == size
    assert found.distance > 0
    assert found.baseline > 0


def test_the_halves_are_disjoint() -> None:
    # Two equal halves would be at distance 0; here every two networks of the zoo are at distance 1.
    found = wasserstein_to_zoo(np.full((5, 10), 3.0), np.eye(10) / 2, np.arange(10), np.random.default_rng(0))
    assert (found.distance, found.baseline, found.size) == (3, pytest.approx(1), 5)


def test_a_set_from_the_zoos_distribution_is_as_far_as_the_baseline() -> None:
    zoo, same, far = points(300, seed=0), points(200, seed=1), points(200, seed=2, shift=2)
    near = to_zoo(same, zoo)
    away = to_zoo(far, zoo)
    assert near.distance == pytest.approx(near.baseline, rel=0.2)
    assert away.distance > 4 * away.baseline


def test_the_same_draws_give_the_same_distances() -> None:
    zoo, generated = points(20, seed=0), points(9, seed=1)
    assert to_zoo(generated, zoo) == to_zoo(generated, zoo)


def test_halves_are_of_whole_trainings() -> None:
    # Networks of one training lie together, those of different ones at distance 1.
    trajectories = np.repeat([0, 1, 2, 3], 3)
    zoo = np.eye(4)[trajectories] / np.sqrt(2)
    found = to_zoo(np.zeros((20, 4)), zoo, trajectories)
    assert found.size == 6
    assert found.baseline == pytest.approx(1)


def test_no_networks_have_no_distance() -> None:
    with pytest.raises(ValueError, match="found 0 generated networks and 4 trainings"):
        wasserstein_to_zoo(np.empty((0, 4)), np.zeros((4, 4)), np.arange(4), np.random.default_rng(0))


def test_the_mean_over_pairs_leaves_the_diagonal_out() -> None:
    points = np.array([[0.0], [1.0], [5.0]])
    assert mean_over_pairs(cdist(points, points) + 100 * np.eye(3)) == pytest.approx((1 + 5 + 4) / 3)


def test_one_network_has_no_pairs() -> None:
    with pytest.raises(ValueError, match="found 1 networks in a set"):
        mean_over_pairs(np.zeros((1, 1)))
