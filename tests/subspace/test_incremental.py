"""IncrementalPCA in dual form spans what scikit-learn finds."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.decomposition import IncrementalPCA as SklearnIncrementalPCA

from dwf_steps.subspace.dual_pca import dual_pca
from dwf_steps.subspace.incremental import incremental_pca

N, HELD_OUT, D, COMPONENTS = 12, 3, 30, 4


def random_rows() -> np.ndarray:
    draws = np.random.default_rng(0)
    return (2 + draws.normal(size=(N + HELD_OUT, D)) * np.linspace(0.2, 3, D)).astype(np.float32)


def centred(rows: np.ndarray) -> np.ndarray:
    exact = rows.astype(np.float64)
    return exact - exact[:N].mean(axis=0)


def gram_of(rows: np.ndarray) -> np.ndarray:
    return centred(rows) @ centred(rows).T


@pytest.mark.parametrize("batch_size", [None, N])
def test_one_batch_of_all_rows_finds_the_exact_subspace(batch_size: int | None) -> None:
    rows = random_rows()
    basis = incremental_pca(rows, gram_of(rows), N, COMPONENTS, batch_size)
    directions = basis.decoder @ centred(rows)[:N]
    exact = PCA(COMPONENTS, svd_solver="full").fit(rows[:N].astype(np.float64)).components_
    cosines = np.linalg.svd(directions @ exact.T, compute_uv=False)
    np.testing.assert_allclose(cosines, 1, atol=1e-5)
    expected = dual_pca(gram_of(rows), N, COMPONENTS)
    np.testing.assert_allclose(basis.variances, expected.variances, rtol=1e-4)
    assert basis.total_variance == pytest.approx(expected.total_variance, rel=1e-12)


@pytest.mark.parametrize("batch_size", [None, 5, 6])
def test_the_decoder_gives_scikit_learns_components(batch_size: int | None) -> None:
    rows = random_rows()
    basis = incremental_pca(rows, gram_of(rows), N, COMPONENTS, batch_size)
    pca = SklearnIncrementalPCA(COMPONENTS, batch_size=batch_size or N).fit(rows[:N])
    decoded = basis.coordinates @ basis.decoder @ centred(rows)[:N]
    np.testing.assert_allclose(decoded, basis.coordinates @ pca.components_, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(basis.coordinates, pca.transform(rows[:N]), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(basis.held_out_coordinates, pca.transform(rows[N:]), rtol=1e-4, atol=1e-4)
    assert basis.coordinates.shape == (N, COMPONENTS)
    assert basis.held_out_coordinates.shape == (HELD_OUT, COMPONENTS)


def test_held_out_rows_play_no_part_in_the_fit() -> None:
    rows = random_rows()
    changed = rows.copy()
    changed[N:] *= 50
    first = incremental_pca(rows, gram_of(rows), N, COMPONENTS, None)
    second = incremental_pca(changed, gram_of(changed), N, COMPONENTS, None)
    np.testing.assert_array_equal(first.coordinates, second.coordinates)
    np.testing.assert_allclose(first.decoder, second.decoder, rtol=1e-9, atol=1e-12)


def test_small_batches_never_explain_more_than_the_exact_subspace() -> None:
    rows = random_rows()
    exact = dual_pca(gram_of(rows), N, COMPONENTS).explained_variance_ratio.sum()
    approximate = incremental_pca(rows, gram_of(rows), N, COMPONENTS, 4).explained_variance_ratio.sum()
    assert 0.5 * exact < approximate < exact
