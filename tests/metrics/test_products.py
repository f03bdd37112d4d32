"""Streamed distances, shares in the span and coordinates equal direct ones."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from dwf_steps.metrics.products import NEGLIGIBLE, Products, stream_products
from dwf_steps.storage import matrix as matrix_module
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.matrix import Precision, Row, WeightMatrix
from dwf_steps.subspace.dual_pca import dual_pca
from dwf_steps.subspace.gram import accumulate

N, HELD_OUT, D = 7, 2, 60


def matrix_of(
    path: Path,
    rows: np.ndarray,
    columns: int,
    monkeypatch: pytest.MonkeyPatch,
    dtype: Precision = "float32",
) -> WeightMatrix:
    monkeypatch.setattr(matrix_module, "CHUNK_BYTES", columns * len(rows) * 4)
    names = [Row(f"seed-{i}", held_out=i >= N) for i in range(len(rows))]
    matrix = WeightMatrix.create(path, Layout.of({"weight": (rows.shape[1],)}), names, {}, dtype)
    matrix.array[:] = rows
    return matrix


def random_rows(norm: float = 1.0, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(N + HELD_OUT, D))
    return (norm * rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def products_of(matrix: WeightMatrix, generated: np.ndarray) -> Products:
    return stream_products(matrix, len(generated), lambda columns: generated[:, columns], accumulate(matrix))


def distances_to_training(matrix: WeightMatrix, generated: np.ndarray) -> np.ndarray:
    return products_of(matrix, generated).distances_to_training


@pytest.mark.parametrize("columns", [1, 13, D])
def test_distances_are_the_direct_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    matrix = matrix_of(tmp_path / "weights.zarr", random_rows(), columns, monkeypatch)
    generated = random_rows(seed=1)[:4]
    found = distances_to_training(matrix, generated)
    expected = cdist(generated.astype(np.float64), random_rows()[:N].astype(np.float64))
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
    found = distances_to_training(matrix, generated)
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
    found = distances_to_training(matrix, generated)
    np.testing.assert_allclose(np.diag(found), 0.125, rtol=1e-6)


def test_a_copy_of_a_training_row_is_at_distance_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = random_rows(norm=100)
    matrix = matrix_of(tmp_path / "weights.zarr", rows, 13, monkeypatch)
    found = distances_to_training(matrix, rows[:N])
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


def centred(rows: np.ndarray) -> np.ndarray:
    return rows.astype(np.float64) - random_rows()[:N].mean(axis=0, dtype=np.float64)


def test_products_are_of_centred_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = matrix_of(tmp_path / "weights.zarr", random_rows(), 13, monkeypatch)
    generated = random_rows(seed=1)[:4]
    found = products_of(matrix, generated)
    x, training = centred(generated), centred(random_rows()[:N])
    np.testing.assert_allclose(found.training, training @ training.T, atol=1e-12)
    np.testing.assert_allclose(found.across, x @ training.T, atol=1e-12)
    np.testing.assert_allclose(found.generated, x @ x.T, atol=1e-12)
    np.testing.assert_allclose(found.distances_among_generated, cdist(x, x), atol=1e-7)


def test_the_share_in_the_span_is_that_of_least_squares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix = matrix_of(tmp_path / "weights.zarr", random_rows(), 13, monkeypatch)
    generated = random_rows(seed=1)[:4]
    x, training = centred(generated), centred(random_rows()[:N])
    fitted = training.T @ np.linalg.lstsq(training.T, x.T, rcond=1e-10)[0]
    expected = np.square(fitted).sum(axis=0) / np.square(x).sum(axis=1)
    np.testing.assert_allclose(products_of(matrix, generated).share_in_span, expected, rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_affine_combinations_lie_in_the_span(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: Precision
) -> None:
    # Two equal training rows: the Gram matrix has lower rank than n - 1.
    rows = random_rows().astype(np.float16).astype(np.float32)
    rows[1] = rows[0]
    matrix = matrix_of(tmp_path / "weights.zarr", rows, 13, monkeypatch, dtype)
    weights = np.random.default_rng(3).normal(size=(5, N))
    weights /= weights.sum(axis=1, keepdims=True)
    found = products_of(matrix, weights @ rows[:N])
    np.testing.assert_allclose(found.share_in_span, 1, rtol=1e-5)
    assert (found.max_squared_cosine < 1).all()


def test_a_row_beside_all_training_rows_is_outside_the_span(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = random_rows()
    rows[:N, -1] = 0
    matrix = matrix_of(tmp_path / "weights.zarr", rows, 13, monkeypatch)
    generated = rows[:N].mean(axis=0, keepdims=True, dtype=np.float64)
    generated[0, -1] = 1
    found = products_of(matrix, generated)
    assert found.share_in_span.item() == pytest.approx(0, abs=1e-12)
    assert found.max_squared_cosine.item() == pytest.approx(0, abs=1e-12)


def test_a_step_along_one_training_row_is_explained_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix = matrix_of(tmp_path / "weights.zarr", random_rows(), 13, monkeypatch)
    mean = random_rows()[:N].mean(axis=0, dtype=np.float64)
    steps = np.array([0.1, -2.0, 1.0])[:, None] * centred(random_rows()[2:5])
    found = products_of(matrix, mean + steps)
    np.testing.assert_allclose(found.max_squared_cosine, 1, rtol=1e-12)
    np.testing.assert_allclose(found.share_in_span, 1, rtol=1e-9)


def test_what_one_row_explains_is_the_largest_squared_cosine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix = matrix_of(tmp_path / "weights.zarr", random_rows(), 13, monkeypatch)
    generated = random_rows(seed=1)[:4]
    cosines = 1 - cdist(centred(generated), centred(random_rows()[:N]), "cosine")
    found = products_of(matrix, generated).max_squared_cosine
    np.testing.assert_allclose(found, np.square(cosines).max(axis=1), rtol=1e-9)


@pytest.mark.parametrize("rounded", [False, True])
def test_the_mean_lies_in_the_span_and_is_explained_by_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rounded: bool
) -> None:
    matrix = matrix_of(tmp_path / "weights.zarr", random_rows(), 13, monkeypatch)
    mean = random_rows()[:N].mean(axis=0, keepdims=True, dtype=np.float64)
    found = products_of(matrix, mean.astype(np.float32) if rounded else mean)
    assert found.generated.item() <= NEGLIGIBLE * np.diag(found.training).mean()
    assert found.share_in_span.tolist() == [1]
    assert found.max_squared_cosine.tolist() == [0]


def test_zero_products_are_the_means() -> None:
    found = Products(np.eye(3), np.zeros((2, 3)), np.zeros((2, 2)))
    assert found.share_in_span.tolist() == [1, 1]
    assert found.max_squared_cosine.tolist() == [0, 0]


def test_a_training_row_at_the_mean_explains_nothing() -> None:
    found = Products(np.diag([0.0, 1.0]), np.array([[0.0, 0.5]]), np.eye(1))
    assert found.max_squared_cosine.tolist() == [0.25]


def test_coordinates_of_training_rows_are_those_of_the_basis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix = matrix_of(tmp_path / "weights.zarr", random_rows(), 13, monkeypatch)
    basis = dual_pca(accumulate(matrix).products, N, components=4)
    found = products_of(matrix, random_rows()[:N]).coordinates(basis.decoder)
    np.testing.assert_allclose(found, basis.coordinates, atol=1e-12)


def test_a_copy_in_a_float16_matrix_is_at_distance_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The float32 Gram matrix of a float16 matrix would leave 1e-4 of the distances.
    matrix = matrix_of(tmp_path / "weights.zarr", random_rows(), 13, monkeypatch, "float16")
    assert accumulate(matrix).rounding > 1e-8
    found = distances_to_training(matrix, matrix.read()[:N].astype(np.float32))
    assert np.diag(found).max() < 1e-7


def test_a_row_that_is_not_finite_has_no_shares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = matrix_of(tmp_path / "weights.zarr", random_rows(), 13, monkeypatch)
    generated = random_rows(seed=1)[:4]
    healthy = products_of(matrix, generated)
    generated[2, 7] = np.nan
    found = products_of(matrix, generated)
    for name in ("share_in_span", "max_squared_cosine"):
        assert np.isnan(getattr(found, name)).tolist() == [False, False, True, False]
        np.testing.assert_array_equal(
            np.delete(getattr(found, name), 2), np.delete(getattr(healthy, name), 2)
        )
