"""One pass over networks finds the leading response functions."""

import pytest
import torch
from torch import Tensor

from dwf_steps.representation.sketch import Sketch
from dwf_steps.representation.sketch import test_matrix as drawn_matrix

ROWS, UNITS, N = 40, 3, 8


def responses(decay: float, rows: int = ROWS, n: int = N) -> Tensor:
    """Responses (n, rows, units) whose singular values, of all networks side by side, fall by ``decay``."""
    draws = torch.Generator().manual_seed(1)
    left = torch.linalg.qr(torch.randn(rows, rows, generator=draws, dtype=torch.float64))[0]
    right = torch.linalg.qr(torch.randn(n * UNITS, n * UNITS, generator=draws, dtype=torch.float64))[0]
    rank = min(rows, n * UNITS)
    values = decay ** torch.arange(rank, dtype=torch.float64)
    side_by_side = left[:, :rank] * values @ right[:rank]
    return side_by_side.unflatten(1, (n, UNITS)).transpose(0, 1)


def sketched(values: Tensor, functions: int, rows: int = ROWS) -> tuple[Sketch, Tensor]:
    test = drawn_matrix(rows, functions, "layer", 0)
    sketch = Sketch(torch.zeros_like(test))
    sketch.add(values, test)
    return sketch, test


def leading_eigenvectors(values: Tensor, functions: int) -> Tensor:
    side_by_side = values.transpose(0, 1).flatten(1)
    return torch.linalg.svd(side_by_side, full_matrices=False)[0][:, :functions]


def distance(one: Tensor, other: Tensor) -> float:
    """The sine of the largest angle between two subspaces."""
    return float(torch.linalg.matrix_norm(one - other @ (other.T @ one), 2))


def test_a_square_test_matrix_loses_nothing() -> None:
    values = responses(0.95)
    sketch, test = sketched(values, 18)
    assert test.shape == (ROWS, ROWS)
    found = sketch.leading(test, 18)
    assert distance(found, leading_eigenvectors(values, 18)) < 1e-6
    torch.testing.assert_close(found.T @ found, torch.eye(18, dtype=torch.float64))


def test_the_test_matrix_is_orthonormal_and_drawn_for_each_layer() -> None:
    test = drawn_matrix(500, 20, "one", 0)
    assert test.shape == (500, 50)
    torch.testing.assert_close(test.T @ test, torch.eye(50, dtype=torch.float64))
    assert torch.equal(test, drawn_matrix(500, 20, "one", 0))
    assert not torch.equal(test, drawn_matrix(500, 20, "other", 0))
    assert not torch.equal(test, drawn_matrix(500, 20, "one", 1))


@pytest.mark.parametrize(("decay", "tolerance"), [(0.5, 1e-5), (0.8, 0.05)])
def test_the_leading_functions_of_a_decaying_spectrum_are_the_eigenvectors(
    decay: float, tolerance: float
) -> None:
    values = responses(decay, rows=300, n=60)
    sketch, test = sketched(values, 10, rows=300)
    assert test.shape[1] < 300
    found = sketch.leading(test, 10)
    assert found.shape == (300, 10)
    assert distance(found[:, :5], leading_eigenvectors(values, 5)) < tolerance


def test_the_functions_keep_almost_as_much_variance_as_the_best_do() -> None:
    values = responses(0.95, rows=300, n=60)
    sketch, test = sketched(values, 20, rows=300)
    found, best = sketch.leading(test, 20), leading_eigenvectors(values, 20)
    side_by_side = values.transpose(0, 1).flatten(1)
    kept = [float((basis.T @ side_by_side).square().sum()) for basis in (found, best)]
    assert 0.97 * kept[1] < kept[0] <= kept[1] * (1 + 1e-9)


def test_sketches_of_different_networks_add_up() -> None:
    values = responses(0.9).float()
    whole, test = sketched(values, 4)
    parts = [sketched(values[rows], 4)[0] for rows in (slice(0, 3), slice(3, N))]
    torch.testing.assert_close(parts[0].products + parts[1].products, whole.products)
    one_by_one = Sketch(torch.zeros_like(test))
    for network in values:
        one_by_one.add(network[None], test)
    torch.testing.assert_close(one_by_one.products, whole.products)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_there_are_no_more_functions_than_the_responses_rank(scale: float) -> None:
    values = responses(0.9)[:2] * scale  # six columns
    for functions in (15, 20):
        sketch, test = sketched(values, functions)
        found = sketch.leading(test, functions)
        assert found.shape == (ROWS, 6)
        torch.testing.assert_close(found.T @ found, torch.eye(6, dtype=torch.float64))
        assert distance(leading_eigenvectors(values, 6), found) < 1e-6


def test_networks_that_never_respond_have_no_functions() -> None:
    sketch, test = sketched(torch.zeros(2, ROWS, UNITS), 5)
    assert sketch.leading(test, 5).shape == (ROWS, 0)
