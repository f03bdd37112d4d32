"""Dual PCA equals the PCA of the rows, and decodes back to them."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA

from dwf_steps.runtime.errors import InputError
from dwf_steps.subspace.basis import Basis, raw_basis
from dwf_steps.subspace.dual_pca import dual_pca

N, HELD_OUT, D = 8, 3, 40


def random_rows(n: int = N + HELD_OUT, seed: int = 0) -> np.ndarray:
    draws = np.random.default_rng(seed)
    return 3 + draws.normal(size=(n, D)) * np.linspace(0.2, 2, D)


def centred(rows: np.ndarray, n_training: int = N) -> np.ndarray:
    return rows - rows[:n_training].mean(axis=0)


def gram_of(rows: np.ndarray, n_training: int = N) -> np.ndarray:
    return centred(rows, n_training) @ centred(rows, n_training).T


def signs(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return +-1 for each column: PCA fixes components only up to their sign."""
    return np.sign((found * expected).sum(axis=0))


@pytest.mark.parametrize("components", [1, 4, N - 1])
def test_coordinates_are_those_of_the_singular_value_decomposition(components: int) -> None:
    rows = random_rows()
    basis = dual_pca(gram_of(rows), N, components)
    u, s, vt = np.linalg.svd(centred(rows)[:N], full_matrices=False)
    expected = u[:, :components] * s[:components]
    sign = signs(basis.coordinates, expected)
    np.testing.assert_allclose(basis.coordinates, sign * expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        basis.decoder @ centred(rows)[:N], sign[:, None] * vt[:components], rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("components", [1, 4, N - 1])
def test_coordinates_and_variances_are_those_of_scikit_learn(components: int) -> None:
    rows = random_rows()
    basis = dual_pca(gram_of(rows), N, components)
    pca = PCA(components, svd_solver="full").fit(rows[:N])
    expected = pca.transform(rows)
    sign = signs(basis.coordinates, expected[:N])
    np.testing.assert_allclose(basis.coordinates, sign * expected[:N], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(basis.held_out_coordinates, sign * expected[N:], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(basis.variances, pca.explained_variance_, rtol=1e-9)
    np.testing.assert_allclose(basis.explained_variance_ratio, pca.explained_variance_ratio_, rtol=1e-9)


def test_explained_variance_is_a_share_of_the_full_trace() -> None:
    rows = random_rows()
    basis = dual_pca(gram_of(rows), N, components=2)
    assert basis.total_variance == pytest.approx(rows[:N].var(axis=0, ddof=1).sum(), rel=1e-12)
    np.testing.assert_allclose(basis.variances, basis.coordinates.var(axis=0, ddof=1), rtol=1e-10)
    assert 0.1 < basis.explained_variance_ratio.sum() < 0.9
    everything = dual_pca(gram_of(rows), N, components=N - 1)
    assert everything.explained_variance_ratio.sum() == pytest.approx(1, rel=1e-12)


def test_all_components_decode_the_training_rows() -> None:
    rows = random_rows()
    basis = dual_pca(gram_of(rows), N, components=N - 1)
    decoded = rows[:N].mean(axis=0) + basis.coordinates @ basis.decoder @ centred(rows)[:N]
    np.testing.assert_allclose(decoded, rows[:N], rtol=1e-9)


def test_held_out_coordinates_are_direct_projections() -> None:
    rows = random_rows()
    basis = dual_pca(gram_of(rows), N, components=5)
    directions = basis.decoder @ centred(rows)[:N]
    np.testing.assert_allclose(directions @ directions.T, np.eye(5), atol=1e-10)
    expected = centred(rows)[N:] @ directions.T
    np.testing.assert_allclose(basis.held_out_coordinates, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(basis.coordinates, centred(rows)[:N] @ directions.T, rtol=1e-9, atol=1e-9)


def test_the_largest_entry_of_every_eigenvector_is_positive() -> None:
    basis = dual_pca(gram_of(random_rows()), N, components=N - 1)
    largest = np.abs(basis.coordinates).argmax(axis=0)
    assert (basis.coordinates[largest, np.arange(N - 1)] > 0).all()


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.8, 0.95, 0.999, 1.0])
def test_variance_keeps_the_smallest_sufficient_number(share: float) -> None:
    gram = gram_of(random_rows())
    ratios = dual_pca(gram, N, components=N - 1).explained_variance_ratio
    kept = dual_pca(gram, N, variance=share).coordinates.shape[1]
    assert ratios[:kept].sum() >= share - 1e-9
    assert ratios[: kept - 1].sum() < share


def test_variance_reached_exactly_needs_no_further_component() -> None:
    gram = np.diag([4.0, 3.0, 2.0, 1.0])
    assert [dual_pca(gram, 4, variance=v).coordinates.shape[1] for v in (0.4, 0.41, 0.7, 0.9, 1.0)] == [
        1,
        2,
        2,
        3,
        4,
    ]


def test_identical_networks_span_no_subspace() -> None:
    rows = np.repeat(random_rows(n=1).astype(np.float32).astype(np.float64), 7, axis=0)
    with pytest.raises(InputError, match="all 7 training networks are identical"):
        dual_pca(gram_of(rows, 7), 7, components=1)


def test_more_components_than_the_rank_are_refused() -> None:
    rows = random_rows()
    with pytest.raises(InputError, match=f"found {N}, but the {N} training networks span only {N - 1}"):
        dual_pca(gram_of(rows), N, components=N)
    rows[3] = rows[5]
    rows[4] = (rows[0] + rows[1]) / 2
    with pytest.raises(InputError, match=f"found 6, but the {N} training networks span only 5"):
        dual_pca(gram_of(rows), N, components=6)
    assert dual_pca(gram_of(rows), N, variance=1.0).coordinates.shape == (N, 5)


def test_more_networks_than_weights_span_the_weights() -> None:
    rows = random_rows()[:, :4]
    assert dual_pca(gram_of(rows), N, variance=1.0).coordinates.shape == (N, 4)


def test_held_out_networks_do_not_change_the_training_side() -> None:
    rows = random_rows()
    with_held_out = dual_pca(gram_of(rows), N, components=4)
    without = dual_pca(gram_of(rows[:N]), N, components=4)
    np.testing.assert_allclose(with_held_out.coordinates, without.coordinates, rtol=1e-12)
    assert with_held_out.total_variance == pytest.approx(without.total_variance, rel=1e-12)
    assert without.held_out_coordinates.shape == (0, 4)


def test_raw_basis_decodes_every_training_row_to_itself() -> None:
    rows = random_rows()
    basis = raw_basis(gram_of(rows), N)
    assert basis.raw
    coefficients = basis.coefficients(basis.points(np.eye(N)))
    decoded = rows[:N].mean(axis=0) + coefficients @ centred(rows)[:N]
    np.testing.assert_allclose(decoded, rows[:N], rtol=1e-12)
    assert (basis.n_training, basis.dimension) == (N, N)
    assert len(basis.held_out_coordinates) == HELD_OUT
    assert basis.total_variance == pytest.approx(rows[:N].var(axis=0, ddof=1).sum(), rel=1e-12)
    assert basis.explained_variance_ratio.tolist() == [1.0]


@pytest.mark.parametrize("raw", [False, True])
def test_a_saved_basis_is_loaded_bit_for_bit(tmp_path: Path, raw: bool) -> None:
    gram = gram_of(random_rows())
    basis = raw_basis(gram, N) if raw else dual_pca(gram, N, components=5)
    basis.save(tmp_path / "deeper" / "basis.npz")
    loaded = Basis.load(tmp_path / "deeper" / "basis.npz")
    for field in fields(Basis):
        np.testing.assert_array_equal(getattr(loaded, field.name), getattr(basis, field.name))
    assert type(loaded.total_variance) is float
    assert loaded.raw is raw


def test_identical_networks_have_no_raw_basis_either() -> None:
    with pytest.raises(InputError, match="all 3 training networks are identical"):
        raw_basis(np.zeros((4, 4)), 3)


def decaying_rows(n: int, d: int = 600) -> np.ndarray:
    """Rows (n, d) whose components' standard deviations fall off as 1 / i."""
    draw = np.random.default_rng(4)
    left, right = (np.linalg.qr(draw.normal(size=(size, n)))[0] for size in (n, d))
    return (left / np.arange(1, n + 1)) @ right.T


@pytest.mark.parametrize("wanted", [{"components": 12}, {"variance": 0.9}, {"variance": 0.999}], ids=str)
def test_the_randomized_solver_finds_the_exact_components(wanted: dict[str, Any]) -> None:
    rows = decaying_rows(500)
    centred = rows - rows.mean(axis=0)
    gram = centred @ centred.T
    exact = dual_pca(gram, 480, **wanted)
    randomized = dual_pca(gram, 480, **wanted, solver="randomized")
    assert randomized.coordinates.shape == exact.coordinates.shape
    assert randomized.total_variance == exact.total_variance
    np.testing.assert_allclose(
        randomized.explained_variance_ratio, exact.explained_variance_ratio, rtol=2e-2, atol=1e-7
    )
    k = min(12, exact.coordinates.shape[1])
    np.testing.assert_allclose(randomized.coordinates[:, :k], exact.coordinates[:, :k], atol=1e-3)


def test_the_randomized_solver_repeats_itself() -> None:
    gram = decaying_rows(400) @ decaying_rows(400).T
    first, again = (dual_pca(gram, 400, 5, solver="randomized") for _ in range(2))
    np.testing.assert_array_equal(first.coordinates, again.coordinates)


def test_directions_within_the_rounding_of_the_products_are_no_components() -> None:
    rows = np.diag([1.0, 1.0, 1.0, 1e-4, 0.0])
    gram = rows @ rows.T
    assert dual_pca(gram, 5, variance=1.0).coordinates.shape == (5, 4)
    assert dual_pca(gram, 5, variance=1.0, rounding=1e-7).coordinates.shape == (5, 3)
