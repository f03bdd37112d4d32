"""The streamed Gram matrix equals the one computed in memory."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from dwf_steps.runtime.errors import InputError
from dwf_steps.storage import matrix as matrix_module
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.matrix import Row, WeightMatrix
from dwf_steps.subspace.gram import GramMatrix, accumulate, distances_among, read_gram

N, HELD_OUT, D = 6, 3, 50


def random_rows(seed: int = 0) -> np.ndarray:
    return (5 + np.random.default_rng(seed).normal(size=(N + HELD_OUT, D))).astype(np.float32)


def matrix_of(path: Path, rows: np.ndarray, held_out: int) -> WeightMatrix:
    names = [Row(f"seed-{i}", held_out=i >= len(rows) - held_out) for i in range(len(rows))]
    matrix = WeightMatrix.create(path, Layout.of({"weight": (rows.shape[1],)}), names, {})
    matrix.array[:] = rows
    return matrix


def chunked_matrix(
    path: Path, rows: np.ndarray, held_out: int, columns: int, monkeypatch: pytest.MonkeyPatch
) -> WeightMatrix:
    monkeypatch.setattr(matrix_module, "CHUNK_BYTES", columns * len(rows) * 4)
    matrix = matrix_of(path, rows, held_out)
    assert matrix.array.chunks == (len(rows), columns)
    return matrix


def direct_gram(rows: np.ndarray, n_training: int) -> np.ndarray:
    centred = rows.astype(np.float64)
    centred = centred - centred[:n_training].mean(axis=0)
    return centred @ centred.T


@pytest.mark.parametrize("columns", [1, 7, 25, 49, 50])
@pytest.mark.parametrize("held_out", [0, HELD_OUT])
def test_gram_matrix_is_the_same_for_every_chunking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int, held_out: int
) -> None:
    rows = random_rows()
    matrix = chunked_matrix(tmp_path / "weights.zarr", rows, held_out, columns, monkeypatch)
    gram = accumulate(matrix).products
    assert gram.dtype == np.float64
    np.testing.assert_allclose(gram, direct_gram(rows, len(rows) - held_out), rtol=1e-10, atol=1e-10)


def test_the_training_mean_is_subtracted_and_no_other(tmp_path: Path) -> None:
    gram = accumulate(matrix_of(tmp_path / "weights.zarr", random_rows(), HELD_OUT)).products
    np.testing.assert_allclose(gram[:, :N].sum(axis=1), 0, atol=1e-9)
    assert np.abs(gram.sum(axis=1)).max() > 1


@pytest.mark.parametrize("columns", [7, 50])
def test_held_out_rows_do_not_move_the_training_block_by_one_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    rows = random_rows()
    changed = rows.copy()
    changed[N:] = 1000 * random_rows(seed=1)[N:]
    grams = [
        accumulate(chunked_matrix(tmp_path / f"{i}.zarr", some, HELD_OUT, columns, monkeypatch)).products
        for i, some in enumerate([rows, changed])
    ]
    np.testing.assert_array_equal(grams[0][:N, :N], grams[1][:N, :N])
    assert not np.allclose(grams[0][N:], grams[1][N:])


def test_a_large_common_offset_costs_no_digits(tmp_path: Path) -> None:
    rows = (1000 + np.random.default_rng(2).normal(size=(N, D))).astype(np.float32)
    gram = accumulate(matrix_of(tmp_path / "weights.zarr", rows, 0)).products
    np.testing.assert_allclose(gram, direct_gram(rows, N), rtol=1e-9, atol=1e-9)


def test_distances_follow_from_the_gram_matrix() -> None:
    rows = random_rows().astype(np.float64)
    gram, some, others = direct_gram(rows, N), slice(2, 5), np.array([0, 3])
    np.testing.assert_allclose(distances_among(gram), cdist(rows, rows), rtol=1e-9, atol=1e-7)
    expected = cdist(rows[some], rows[others])
    np.testing.assert_allclose(distances_among(gram, some, others), expected, rtol=1e-9, atol=1e-7)


def test_distances_of_equal_rows_are_no_roots_of_negative_numbers() -> None:
    rows = np.repeat(random_rows().astype(np.float64)[:1], 8, axis=0)
    rows += 1e-9 * np.random.default_rng(3).normal(size=rows.shape)
    assert distances_among(rows @ rows.T).min() >= 0


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 60])
def test_parts_over_column_ranges_add_up_to_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: int
) -> None:
    matrix = chunked_matrix(tmp_path / "weights.zarr", random_rows(), HELD_OUT, 4, monkeypatch)
    paths = [tmp_path / f"part-{part}.npz" for part in range(parts)]
    for part, path in enumerate(paths):
        accumulate(matrix, part, parts).save(path)
    gram = read_gram(paths)
    assert gram.n_training == N
    np.testing.assert_allclose(gram.products, accumulate(matrix).products, rtol=1e-12, atol=1e-12)


def test_parts_of_another_division_are_refused(tmp_path: Path) -> None:
    for name, start, stop in (("a", 0, 10), ("b", 15, 20)):
        GramMatrix(np.eye(3), 3, start, stop, 1e-16).save(tmp_path / f"{name}.npz")
    with pytest.raises(InputError, match="do not join"):
        read_gram([tmp_path / "a.npz", tmp_path / "b.npz"])


def test_a_chunk_that_was_never_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = chunked_matrix(tmp_path / "weights.zarr", random_rows(), 0, 10, monkeypatch)
    shutil.rmtree(tmp_path / "weights.zarr" / "c" / "0")
    with pytest.raises(InputError, match=r"weights\.zarr: columns 0 to 10 are damaged .*never written"):
        accumulate(matrix)


def test_threads_do_not_change_a_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = chunked_matrix(tmp_path / "weights.zarr", random_rows(), HELD_OUT, 3, monkeypatch)
    np.testing.assert_array_equal(accumulate(matrix, threads=3).products, accumulate(matrix).products)


def test_products_of_float16_rows_are_float32_and_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = random_rows().astype(np.float16)
    monkeypatch.setattr(matrix_module, "CHUNK_BYTES", 7 * len(rows) * 2)
    names = [Row(f"seed-{i}", held_out=i >= N) for i in range(len(rows))]
    path = tmp_path / "weights.zarr"
    matrix = WeightMatrix.create(path, Layout.of({"weight": (D,)}), names, {}, "float16")
    matrix.array[:] = rows
    gram, expected = accumulate(matrix), direct_gram(rows, N)
    assert gram.rounding == np.finfo(np.float32).eps
    np.testing.assert_allclose(gram.products, expected, atol=1e-6 * np.abs(expected).max())
    assert (gram.products != expected).any()
