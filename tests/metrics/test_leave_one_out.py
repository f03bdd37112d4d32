"""A zoo's own values, recomputed by leaving each network out."""

import numpy as np
import pytest

from dwf_steps.metrics.leave_one_out import explained_by_one, share_in_span


def zoo(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)) + 3


def gram(rows: np.ndarray) -> np.ndarray:
    centred = rows - rows.mean(axis=0)
    return centred @ centred.T


def seen_from_others(rows: np.ndarray, i: int) -> tuple[np.ndarray, np.ndarray]:
    others = np.delete(rows, i, axis=0)
    return rows[i] - others.mean(axis=0), others - others.mean(axis=0)


@pytest.mark.parametrize(("n", "d"), [(6, 40), (5, 4), (9, 4)])
def test_share_in_span_is_that_of_least_squares_on_the_others(n: int, d: int) -> None:
    rows = zoo(n, d)
    expected = []
    for i in range(n):
        row, others = seen_from_others(rows, i)
        projection = others.T @ np.linalg.lstsq(others.T, row, rcond=None)[0]
        expected.append((projection @ projection) / (row @ row))
    np.testing.assert_allclose(share_in_span(gram(rows)), expected, atol=1e-9)


def test_only_the_rows_that_depend_on_each_other_are_wholly_in_the_span() -> None:
    rows = zoo(6, 40)
    rows[5] = 2 * rows[3] - rows[4]
    shares = share_in_span(gram(rows))
    np.testing.assert_allclose(shares[3:], 1, atol=1e-9)
    assert (shares[:3] < 0.9).all()


def test_explained_by_one_is_the_largest_squared_cosine_with_another() -> None:
    rows = zoo(7, 5)
    expected = []
    for i in range(7):
        row, others = seen_from_others(rows, i)
        cosines = others @ row / (np.linalg.norm(others, axis=1) * np.linalg.norm(row))
        expected.append((cosines**2).max())
    np.testing.assert_allclose(explained_by_one(gram(rows)), expected, atol=1e-12)
    np.testing.assert_allclose(explained_by_one(gram(rows), slice(2, 5)), expected[2:5], atol=1e-12)
