"""Decoding streams column blocks and keeps samples apart."""

from pathlib import Path

import numpy as np
import pytest

from dwf_steps.generators import decoding
from dwf_steps.generators.decoding import compare_with_float64, decode_block, decode_buffers
from dwf_steps.generators.samples import Samples
from dwf_steps.storage import matrix as matrix_module
from dwf_steps.storage.layout import Layout
from dwf_steps.storage.matrix import Row, WeightMatrix
from dwf_steps.storage.precision import RelativeError

N, HELD_OUT, D, K = 5, 2, 40, 7


def random_rows() -> np.ndarray:
    return (3 + np.random.default_rng(0).normal(size=(N + HELD_OUT, D))).astype(np.float32)


def matrix_of(path: Path, columns: int, monkeypatch: pytest.MonkeyPatch) -> WeightMatrix:
    rows = random_rows()
    monkeypatch.setattr(matrix_module, "CHUNK_BYTES", columns * len(rows) * 4)
    names = [Row(f"seed-{i}", held_out=i >= N) for i in range(N + HELD_OUT)]
    matrix = WeightMatrix.create(path, Layout.of({"weight": (D,)}), names, {})
    matrix.array[:] = rows
    return matrix


def coefficients() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(K, N))


def decoded(samples: Samples, matrix: WeightMatrix) -> np.ndarray:
    return np.concatenate([decode_block(samples, matrix, c) for c in matrix.column_blocks()], axis=1)


def no_offsets() -> np.ndarray:
    return np.empty((K, 0), np.float32)


@pytest.mark.parametrize("columns", [1, 7, D])
def test_decoded_rows_are_combinations_of_centred_training_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    matrix = matrix_of(tmp_path / "weights.zarr", columns, monkeypatch)
    training = random_rows()[:N].astype(np.float64)
    mean = training.mean(axis=0)
    found = decoded(Samples(np.empty((K, 0)), coefficients(), no_offsets()), matrix)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, mean + coefficients() @ (training - mean), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("columns", [1, 7, D])
def test_offsets_are_added_column_by_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    matrix = matrix_of(tmp_path / "weights.zarr", columns, monkeypatch)
    offsets = np.random.default_rng(2).normal(size=(K, D)).astype(np.float32)
    found = decoded(Samples(np.empty((K, 0)), np.zeros((K, N)), offsets), matrix)
    np.testing.assert_allclose(found, random_rows()[:N].mean(axis=0) + offsets, rtol=1e-5, atol=1e-5)


def test_noise_is_reproducible_and_changes_with_its_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix = matrix_of(tmp_path / "weights.zarr", 10, monkeypatch)
    first, again, other = (
        decoded(Samples(np.empty((K, 0)), coefficients(), no_offsets(), 0.5, seed), matrix)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


def test_noise_of_different_column_blocks_is_independent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix = matrix_of(tmp_path / "weights.zarr", D // 2, monkeypatch)
    many = 20_000
    samples = Samples(np.empty((many, 0)), np.zeros((many, N)), np.empty((many, 0), np.float32), 2.0, 3)
    noise = decoded(samples, matrix) - random_rows()[:N].mean(axis=0)
    correlation = np.corrcoef(noise.T)
    np.testing.assert_allclose(correlation, np.eye(D), atol=0.04)
    np.testing.assert_allclose(noise.std(axis=0), 2.0, rtol=0.03)


# NumPy warns of infinite arithmetic; what counts here is where it stays.
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_sample_that_is_not_finite_stays_so_and_leaves_the_others_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: float
) -> None:
    matrix = matrix_of(tmp_path / "weights.zarr", 7, monkeypatch)
    broken = coefficients()
    broken[3, 1] = bad
    healthy = decoded(Samples(np.empty((K, 0)), coefficients(), no_offsets()), matrix)
    found = decoded(Samples(np.empty((K, 0)), broken, no_offsets()), matrix)
    assert not np.isfinite(found[3]).any()
    np.testing.assert_array_equal(np.delete(found, 3, axis=0), np.delete(healthy, 3, axis=0))


@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_a_sample_beyond_float32_becomes_infinite_and_leaves_the_others_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix = matrix_of(tmp_path / "weights.zarr", 7, monkeypatch)
    far = coefficients()
    far[3] = [1e60, 0, 0, 0, 0]
    healthy = decoded(Samples(np.empty((K, 0)), coefficients(), no_offsets()), matrix)
    found = decoded(Samples(np.empty((K, 0)), far, no_offsets()), matrix)
    assert not np.isfinite(found[3]).any()
    np.testing.assert_array_equal(np.delete(found, 3, axis=0), np.delete(healthy, 3, axis=0))


def test_the_error_against_float64_is_that_of_float32_products(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix, error = matrix_of(tmp_path / "weights.zarr", D, monkeypatch), RelativeError()
    samples = Samples(np.empty((K, 0)), coefficients(), no_offsets())
    block = slice(0, D)
    found = decode_block(samples, matrix, block)
    compare_with_float64(error, samples, matrix, block, found)
    training = random_rows()[:N].astype(np.float64)
    mean = training.mean(axis=0)
    exact = mean + coefficients() @ (training - mean)
    expected = np.linalg.norm(found - exact) / np.linalg.norm(exact - mean)
    assert 0 < error.relative < 1e-6
    assert error.relative == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("candidates", "compared"), [(1, 1), (K, K)])
def test_the_error_is_measured_on_the_first_samples(
    candidates: int, compared: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "COMPARED_SAMPLES", 2)
    matrix, block = matrix_of(tmp_path / "weights.zarr", D, monkeypatch), slice(0, D)
    error, few = RelativeError(), RelativeError()
    samples = Samples(np.empty((K, 0)), coefficients(), no_offsets(), candidates=candidates)
    found = decode_block(samples, matrix, block)
    off = found + np.repeat([0, 1], [compared, K - compared])[:, None]
    compare_with_float64(error, samples, matrix, block, off)
    first = Samples(
        np.empty((compared, 0)), coefficients()[:compared], no_offsets()[:compared], candidates=candidates
    )
    compare_with_float64(few, first, matrix, block, found[:compared])
    assert error.relative == pytest.approx(few.relative, rel=1e-6)


def test_samples_that_are_not_finite_play_no_part_in_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix = matrix_of(tmp_path / "weights.zarr", D, monkeypatch)
    broken = coefficients()
    broken[3, 1] = np.nan
    errors = []
    for some in (np.delete(coefficients(), 3, axis=0), broken):
        samples = Samples(np.empty((len(some), 0)), some, np.empty((len(some), 0), np.float32))
        error = RelativeError()
        compare_with_float64(error, samples, matrix, slice(0, D), decode_block(samples, matrix, slice(0, D)))
        errors.append(error.relative)
    assert errors[0] == errors[1] > 0


def test_statistics_are_combined_as_weights_are_and_counters_left_alone(tmp_path: Path) -> None:
    names = [Row(f"seed-{i}", held_out=i >= N) for i in range(N + HELD_OUT)]
    draws = np.random.default_rng(3)
    buffers = {
        "bn.running_mean": draws.normal(size=(N + HELD_OUT, 3)).astype(np.float32),
        "bn.running_var": draws.uniform(1, 2, size=(N + HELD_OUT, 3)).astype(np.float32),
        "bn.num_batches_tracked": np.arange(N + HELD_OUT),
    }
    layout = Layout.of({"weight": (D,)})
    matrix = WeightMatrix.create(tmp_path / "weights.zarr", layout, names, {}, buffers=buffers)
    matrix = WeightMatrix.open(tmp_path / "weights.zarr")
    mixing = np.vstack([coefficients()[:2], np.eye(N)[3], [9, 0, 0, 0, -9]])
    found = decode_buffers(Samples(np.empty((4, 0)), mixing, np.empty((4, 0), np.float32)), matrix)
    for name in ("bn.running_mean", "bn.running_var"):
        training = buffers[name][:N].astype(np.float64)
        expected = training.mean(axis=0) + mixing @ (training - training.mean(axis=0))
        if name.endswith("var"):
            assert expected.min() < 0
            expected = np.maximum(expected, 0)
        np.testing.assert_allclose(found[name], expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found[name][2], training[3], rtol=1e-6)
    assert found["bn.num_batches_tracked"].tolist() == [0] * 4
    rows = matrix.networks([1, 4])
    np.testing.assert_array_equal(rows["bn.running_mean"], buffers["bn.running_mean"][[1, 4]])
    held_out = np.eye(N + HELD_OUT)[[N]]
    copied = decode_buffers(Samples(np.empty((1, 0)), held_out, np.empty((1, 0), np.float32)), matrix)
    np.testing.assert_allclose(copied["bn.running_mean"][0], buffers["bn.running_mean"][N], rtol=1e-6)
