"""Overlap of mistakes equals set arithmetic, streamed distances equal direct ones."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from dwf_steps.metrics.novelty import squared_distances_to_training, wrong_set_iou
from dwf_steps.storage import matrix as matrix_module
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.matrix import Row, WeightMatrix

N, HELD_OUT, D = 7, 2, 60


def matrix_of(path: Path, rows: np.ndarray, columns: int, monkeypatch: pytest.MonkeyPatch) -> WeightMatrix:
    monkeypatch.setattr(matrix_module, "CHUNK_BYTES", columns * len(rows) * 4)
    names = [Row(f"seed-{i}", held_out=i >= N) for i in range(len(rows))]
    matrix = WeightMatrix.create(path, Layout.of({"weight": (rows.shape[1],)}), names, {})
    matrix.array[:] = rows
    return matrix


def random_rows(norm: float = 1.0, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(N + HELD_OUT, D))
    return (norm * rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


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


def distances_to_training(matrix: WeightMatrix, generated: np.ndarray) -> np.ndarray:
    return squared_distances_to_training(matrix, len(generated), lambda columns: generated[:, columns])


@pytest.mark.parametrize("columns", [1, 13, D])
def test_distances_are_the_direct_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    matrix = matrix_of(tmp_path / "weights.zarr", random_rows(), columns, monkeypatch)
    generated = random_rows(seed=1)[:4]
    found = distances_to_training(matrix, generated)
    expected = cdist(generated.astype(np.float64), random_rows()[:N].astype(np.float64), "sqeuclidean")
    assert found.shape == (4, N)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("columns", [13, D])
@pytest.mark.parametrize("distance", [1e-4, 1e-3, 1e-1])
def test_near_duplicates_of_large_rows_keep_their_distance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int, distance: float
) -> None:
    rows = random_rows(norm=100)
    matrix = matrix_of(tmp_path / "weights.zarr", rows, columns, monkeypatch)
    step = np.random.default_rng(2).normal(size=(N, D))
    step *= distance / np.linalg.norm(step, axis=1, keepdims=True)
    generated = (rows[:N] + step).astype(np.float32)
    found = np.sqrt(distances_to_training(matrix, generated))
    expected = cdist(generated.astype(np.float64), rows[:N].astype(np.float64))
    assert np.diag(expected).max() < 2 * distance
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_near_duplicates_in_a_zoo_far_from_the_origin_keep_their_distance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Uncentred float64 norms of 1e12 would leave about 1e-4 of a squared distance of 1e-2.
    rows = (1e6 + random_rows()).astype(np.float32)
    matrix = matrix_of(tmp_path / "weights.zarr", rows, D, monkeypatch)
    generated = rows[:N].copy()
    generated[:, 0] += 0.125
    found = np.sqrt(distances_to_training(matrix, generated))
    np.testing.assert_allclose(np.diag(found), 0.125, rtol=1e-6)


def test_a_copy_of_a_training_row_is_at_distance_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = random_rows(norm=100)
    matrix = matrix_of(tmp_path / "weights.zarr", rows, 13, monkeypatch)
    found = np.sqrt(distances_to_training(matrix, rows[:N]))
    assert found.argmin(axis=1).tolist() == list(range(N))
    assert np.diag(found).max() < 1e-5


def test_held_out_rows_play_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = random_rows()
    changed = rows.copy()
    changed[N:] = 1e4
    first, second = (
        distances_to_training(matrix_of(tmp_path / f"{i}.zarr", some, 13, monkeypatch), random_rows(seed=1))
        for i, some in enumerate([rows, changed])
    )
    np.testing.assert_array_equal(first, second)


def test_a_row_that_is_not_finite_leaves_the_others_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix = matrix_of(tmp_path / "weights.zarr", random_rows(), 13, monkeypatch)
    generated = random_rows(seed=1)
    healthy = distances_to_training(matrix, generated)
    generated[3, 5] = np.nan
    found = distances_to_training(matrix, generated)
    assert np.isnan(found[3]).all()
    np.testing.assert_array_equal(np.delete(found, 3, axis=0), np.delete(healthy, 3, axis=0))
